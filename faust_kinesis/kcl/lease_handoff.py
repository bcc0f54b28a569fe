"""How a worker that stops leaves its leases: in the names of workers that live.

Released leases wait for KCL's leader. When it is the leader that stops, they wait for the next one, and the others look
for the lock every 30 seconds only: a worker that was not the leader at its last look takes that answer for so long
(DynamoDBLockBasedLeaderDecider). But every worker asks twice in an assignment interval, here a second, for the leases
in its own name (LeaseDiscoverer), whoever wrote it there. So the names are written here, as a leader would.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Mapping, Set
from dataclasses import dataclass

from aws_client.call_pool import CallPool
from faust_kinesis.errors import LeaseLostError
from faust_kinesis.kcl.coordination_tables import CoordinationTables
from faust_kinesis.kcl.properties import report_interval
from faust_kinesis.leases.table import Lease, LeaseTable
from faust_kinesis.options import KinesisOptions

log = logging.getLogger(__name__)

_BETWEEN_LOOKS = 0.5
"""Seconds. A leader's look at reports and leases, and what it writes, take less, a few thousand shards apart."""
_SILENT_REPORTS = 2
"""So many reports a worker may miss and be alive still: KCL's own rule."""


@dataclass(frozen=True, slots=True)
class Move:
    """A lease and its next owner, None when no worker lives that could have it."""

    lease: Lease
    owner: str | None


def moves(leases: Mapping[str, Lease], given: Mapping[str, Lease], alive: Set[str], me: str) -> list[Move]:
    """What must still change for every lease of `me` to be with a worker that lives. Pure.

    `given` are leases as this worker wrote them. One whose receiver has gone meanwhile, and that nobody has touched
    since, is moved on: the receiver may have looked for the last time before it was written.
    """
    held = Counter(lease.owner for lease in leases.values() if not lease.ended)
    found = []
    for key, lease in sorted(leases.items()):
        untaken = key in given and (lease.owner, lease.counter) == (given[key].owner, given[key].counter)
        is_stranded = untaken and lease.owner is not None and lease.owner not in alive
        if lease.ended or not (is_stranded or me in {lease.owner, lease.checkpoint_owner}):
            continue
        # While KCL moves a lease from one worker to another, both are named in it.
        other = next((name for name in (lease.owner, lease.checkpoint_owner) if name in alive and name != me), None)
        receiver = other or min(sorted(alive - {me}), key=lambda worker: held[worker], default=None)
        held[receiver] += 1
        found.append(Move(lease, receiver))
    return found


async def hand_off(
    table: LeaseTable, coordination: CoordinationTables, options: KinesisOptions, calls: CallPool
) -> None:
    """Leave nothing under this worker's name: report, leader's lock, leases. Only after the daemon's end.

    Every lease is then with a worker that reported lately, or with none if there is no such worker, for the next to
    come. Only one that was killed within the last two reports may be taken for alive; its leases move on after the
    fail-over time, as all of its leases do. Transient failures are retried for as long as they last.
    """
    me = options.worker_id
    await calls.retry_until_answered("retire this worker", coordination.retire, me)
    await calls.retry_until_answered("release the leader's lock", coordination.release_leadership, me)
    given: dict[str, Lease] = {}
    looks = 0
    # A second look, because a leader may have read our last report and write only now.
    while await _look(table, coordination, options, calls, given) or looks == 0:
        looks += 1
        await asyncio.sleep(_BETWEEN_LOOKS)


async def _look(
    table: LeaseTable,
    coordination: CoordinationTables,
    options: KinesisOptions,
    calls: CallPool,
    given: dict[str, Lease],
) -> bool:
    """Move what must be moved and remember it in `given`; whether there was anything.

    The leases are read first and the reports after them. So a receiver either still reported after we had written, and
    sees the lease when it comes to leave itself, or is found gone in the next look.
    """
    leases = await calls.retry_until_answered("look at the leases", table.scan)
    since = time.time() - _SILENT_REPORTS * report_interval(options)
    alive = await calls.retry_until_answered("look for other workers", coordination.reporting, since)
    planned = moves(leases, given, alive, options.worker_id)
    for move in planned:
        lease = move.lease
        try:
            if move.owner is None:
                given[lease.key] = await calls.retry_until_answered(
                    f"release the lease of {lease.key}", table.release, lease
                )
            else:
                action = f"give the lease of {lease.key} to {move.owner}"
                given[lease.key] = await calls.retry_until_answered(action, table.take, lease, move.owner)
        except LeaseLostError as lost:
            log.info("%s", lost, extra={"action": "lease_taken", "shard": lease.key})
            continue
        log.info(
            "Left the lease of %s to %s",
            lease.key,
            move.owner or "the next worker",
            extra={"action": "lease_given", "shard": lease.key, "receiver": move.owner},
        )
    return bool(planned)
