"""How the leases of a worker that goes, or of a leader that died, are handed off: to workers that are alive.

Released leases wait for KCL's leader. When the leader itself stops, they wait for the next one, and the others check
the lock only every 30 seconds: a worker that was not the leader at its last check assumes so until the next
(DynamoDBLockBasedLeaderDecider). But every worker looks twice in an assignment interval, here a second, for leases in
its own name (LeaseDiscoverer), whoever wrote it. So the names are written here, as a leader would.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Mapping, Set
from dataclasses import dataclass
from functools import partial

from botocore.exceptions import BotoCoreError, ClientError

from aws_client.call_pool import CallPool
from aws_client.failures import describe
from faust_kinesis.errors import LeaseLostError
from faust_kinesis.kcl.coordination.tables import CoordinationTables, LeaderLock
from faust_kinesis.kcl.processes.properties import report_interval
from faust_kinesis.leases.table import Lease, LeaseTable
from faust_kinesis.options import KinesisOptions

log = logging.getLogger(__name__)

_ROUND_INTERVAL = 0.5
"""Seconds. A leader takes less to read reports and leases and to write, up to a few thousand shards."""
_MISSED_REPORTS = 2
"""How many reports a live worker may miss: KCL's own rule."""


def moves(
    leases: Mapping[str, Lease], given: Mapping[str, Lease], alive: Set[str], me: str
) -> list[tuple[Lease, str | None]]:
    """The leases to move so that a live worker has every lease of `me`, each with its next owner. Pure.

    The next owner is None when no other worker is alive.

    `given` are leases as this worker wrote them. One whose recipient has gone meanwhile, unchanged since, is moved on:
    the recipient may have stopped polling before it was written.
    """
    held = Counter(lease.owner for lease in leases.values() if not lease.ended)
    found = []
    for key, lease in sorted(leases.items()):
        untaken = key in given and (lease.owner, lease.counter) == (given[key].owner, given[key].counter)
        is_stranded = untaken and lease.owner is not None and lease.owner not in alive
        if lease.ended or not (is_stranded or me in {lease.owner, lease.checkpoint_owner}):
            continue
        # While KCL moves a lease from one worker to another, it names both.
        other = next((name for name in (lease.owner, lease.checkpoint_owner) if name in alive and name != me), None)
        recipient = other or min(sorted(alive - {me}), key=lambda worker: held[worker], default=None)
        held[recipient] += 1
        found.append((lease, recipient))
    return found


@dataclass(frozen=True, slots=True)
class LeaseHandOff:
    """Hands off leases for the worker of `options`. Transient failures are retried for as long as they last."""

    table: LeaseTable
    coordination: CoordinationTables
    options: KinesisOptions
    calls: CallPool

    async def leave(self) -> None:
        """Remove this worker's report and leader lock, and hand off its leases. Call it only after the daemon's end.

        Every lease then belongs to a worker that reported lately, or to none if there is no such worker. Only a worker
        that was killed within the last two reports may be mistaken for alive; its leases move on after the fail-over
        time, as all of its leases do. What AWS refuses is logged: the leases move on after the fail-over time, too.
        """
        me = self.options.worker_id
        try:
            await self.calls.retry_until_answered("retire this worker", self.coordination.retire, me)
            await self.calls.retry_until_answered("release the leader's lock", self.coordination.release_leadership, me)
            await self._hand_off(me, frozenset())
        except (ClientError, BotoCoreError) as error:
            log.error(  # noqa: TRY400 - the error is named, its traceback is the SDK's
                "Could not hand off the leases of worker %s: %s",
                me,
                describe(error),
                extra={"action": "leases_not_handed_off", "worker_id": me},
            )

    async def replace_leader(self, lock: LeaderLock) -> None:
        """Clear the lock of a leader that died, unless it was renewed meanwhile, and hand off its leases.

        The other workers ask for the lock every 30 seconds, and only then is there a new leader to assign anything. Of
        several workers that call this, one acts.
        """
        if not await self.calls.retry_until_answered("clear the leader's lock", self.coordination.clear_lock, lock):
            return
        log.warning(
            "Cleared the leader's lock: worker %s gave no sign of life; its leases go to workers that live",
            lock.owner,
            extra={"action": "leader_lock_cleared", "worker_id": lock.owner},
        )
        await self._hand_off(lock.owner, frozenset([self.options.worker_id]))

    async def _hand_off(self, leaver: str, living: Set[str]) -> None:
        given: dict[str, Lease] = {}
        rounds = 0
        # A second round, because a leader may have read the last report and write only now.
        while await self._hand_off_once(leaver, living, given) or rounds == 0:
            rounds += 1
            await asyncio.sleep(_ROUND_INTERVAL)

    async def _hand_off_once(self, leaver: str, living: Set[str], given: dict[str, Lease]) -> bool:
        """Move what must be moved and record it in `given`; whether there was anything. `living` need no report.

        The leases are read before the reports. So a recipient either still reported after our write, and sees the
        lease when it stops itself, or is found gone in the next round.
        """
        leases = await self.calls.retry_until_answered("look at the leases", self.table.scan)
        since = time.time() - _MISSED_REPORTS * report_interval(self.options)
        alive = await self.calls.retry_until_answered("look for other workers", self.coordination.reporting, since)
        planned = moves(leases, given, alive | living, leaver)
        for lease, recipient in planned:
            write = self.table.release if recipient is None else partial(self.table.take, owner=recipient)
            doing = f"hand off the lease of {lease.key}"
            try:
                given[lease.key] = await self.calls.retry_until_answered(doing, write, lease)
            except LeaseLostError as lost:
                log.info("%s", lost, extra={"action": "lease_taken", "shard": lease.key})
                continue
            log.info(
                "Left the lease of %s to %s",
                lease.key,
                recipient or "the next worker",
                extra={"action": "lease_given", "shard": lease.key, "receiver": recipient},
            )
        return bool(planned)
