"""Keeps the lease table in sync with the stream's shards, and takes leases for this worker."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from aws_client.call_pool import CallPool
from aws_client.failures import is_not_found
from aws_client.retry import RetryPolicy, should_log
from aws_client.tables import TableSpec, create_table, find_status
from faust_kinesis.errors import ConfigurationError, LeaseLostError, StreamGoneError
from faust_kinesis.leases.planner import LeaseSights, leases_to_forget, leases_to_take
from faust_kinesis.leases.table import Lease, LeaseTable
from faust_kinesis.leases.topology import Topology, list_shards, missing_leases
from faust_kinesis.options import KinesisOptions
from faust_kinesis.source import ShardStatus

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_kinesis import KinesisClient

log = logging.getLogger(__name__)

_USABLE = frozenset({"ACTIVE", "UPDATING"})
_STREAM_WAIT = RetryPolicy(base=0.25, maximum=2.5, jitter=0.0)


@dataclass(frozen=True, slots=True)
class TakenLease:
    """A lease this worker just took, its previous owner, and whether this worker created it for a new shard."""

    lease: Lease
    owner_before: str | None
    at_first_start: bool


class LeaseCoordinator:
    """Every call that fails transiently is retried for as long as that lasts, and logged.

    `table` is the one that holds the leases taken: a lease's holder is the `LeaseTable` that took it.
    """

    def __init__(
        self,
        stream: str,
        options: KinesisOptions,
        *,
        kinesis: KinesisClient,
        dynamodb: DynamoDBClient,
        table: LeaseTable,
        reads: CallPool,
        writes: CallPool,
    ) -> None:
        self._stream = stream
        self._options = options
        self._kinesis = kinesis
        self._dynamodb = dynamodb
        self._table = table
        self._reads = reads
        self._writes = writes
        self._topology: Topology | None = None
        self._listed_at = 0.0
        self._leases: dict[str, Lease] = {}
        self._created: set[str] = set()
        self._sights = LeaseSights()
        self._left_behind: set[str] | None = None

    @property
    def leases(self) -> Mapping[str, Lease]:
        """All leases as last seen, whoever owns them."""
        return self._leases

    def record(self, lease: Lease) -> None:
        """Record what this worker last wrote to a lease that it no longer holds."""
        self._leases[lease.key] = lease

    async def prepare(self, tables: Sequence[TableSpec]) -> None:
        """Wait until the stream is readable and the tables are usable; create those missing where that is allowed.

        Raises ConfigurationError: a table is missing and may not be created.
        """
        await self._wait_for_stream()
        while True:
            usable = [await self._table_is_usable(spec) for spec in tables]
            if all(usable):
                return
            await asyncio.sleep(0.2)

    async def look(self) -> None:
        """Scan the leases and change none."""
        self._leases = await self._scan()
        self._sights = self._sights.after(self._leases, time.monotonic())

    def status(self) -> list[ShardStatus]:
        """Every shard as its lease was last seen; an owner that has not renewed it for the failover time is none."""
        now, leases = time.monotonic(), list(self._leases.values())
        return [
            lease.status()
            if self._sights.stood_still(lease.key, now) <= self._options.failover_time
            else replace(lease, owner=None).status()
            for lease in leases
        ]

    async def stream_status(self) -> str | None:
        """The stream's status, such as ACTIVE; None when there is no such stream."""
        try:
            answer = await self._reads.retry_until_answered(
                f"find stream {self._stream}", self._kinesis.describe_stream_summary, StreamName=self._stream
            )
        except ClientError as error:
            if is_not_found(error):
                return None
            raise
        return answer["StreamDescriptionSummary"]["StreamStatus"]

    async def sync(self, *, list_anew: bool = False) -> Topology:
        """Scan the leases, create missing ones and delete those no longer needed.

        The shards are listed when due, or at once with `list_anew`.

        Raises StreamGoneError: the stream was deleted.
        """
        due = time.monotonic() - self._listed_at >= self._options.shard_sync_interval
        listing = list_anew or due
        topology = await self._list_shards() if listing or self._topology is None else self._topology
        leases = await self._scan()
        created_elsewhere = False
        for lease in missing_leases(topology, leases, self._options.start):
            if await self._writes.retry_until_answered(f"create the lease of {lease.key}", self._table.add, lease):
                self._created.add(lease.key)
                leases[lease.key] = lease
            else:
                created_elsewhere = True
        if created_elsewhere:
            # Whatever is not among the leases counts as history: without its parent's, a child would be read too early.
            leases = await self._scan()
        # Ended before the shards were listed: one that began and ended since is not listed either.
        ended_before = {key: lease for key, lease in self._leases.items() if listing and key in leases}
        for lease in leases_to_forget(ended_before, topology.shards.keys()):
            await self._writes.retry_until_answered(f"forget the lease of {lease.key}", self._table.forget, lease)
            del leases[lease.key]
        self._topology, self._leases = topology, leases
        self._sights = self._sights.after(leases, time.monotonic())
        if self._left_behind is None:
            me = self._options.worker_id
            self._left_behind = {lease.key for lease in leases.values() if lease.owner == me}
        return topology

    async def take(self, held: Collection[str]) -> list[TakenLease]:
        """Take the leases that this worker should take, as of the last `sync`; `held` are those it holds."""
        taken = []
        for lease in leases_to_take(
            self._leases,
            self._sights,
            worker_id=self._options.worker_id,
            held=held,
            left_behind=self._left_behind or (),
            now=time.monotonic(),
            failover_time=self._options.failover_time,
        ):
            try:
                mine = await self._writes.retry_until_answered(
                    f"take the lease of {lease.key}", self._table.take, lease, self._options.worker_id
                )
            except LeaseLostError:
                continue  # another worker was faster; the next sync shows whose it is
            taken.append(TakenLease(mine, lease.owner, lease.key in self._created))
            self._created.discard(lease.key)
            if self._left_behind:
                self._left_behind.discard(lease.key)
        return taken

    async def _scan(self) -> dict[str, Lease]:
        """All leases; of one that was not there before, its parents' too.

        A scan's pages are of different moments: one may show a child whose parent's lease was made, before the child's,
        where an earlier page had looked already.
        """
        known = set(self._leases)
        while True:
            leases = await self._writes.retry_until_answered("look at the leases", self._table.scan)
            if all(lease.key in known or lease.parents <= leases.keys() for lease in leases.values()):
                return leases
            known |= leases.keys()

    async def _wait_for_stream(self) -> None:
        attempt = 0
        while await self.stream_status() not in _USABLE:
            attempt += 1
            if should_log(attempt):
                log.warning(
                    "Stream %s does not exist yet; waiting for it. Create it, or correct its name",
                    self._stream,
                    extra={"action": "stream_awaited", "stream": self._stream, "attempt": attempt},
                )
            await asyncio.sleep(_STREAM_WAIT.delay(attempt))

    async def _table_is_usable(self, spec: TableSpec) -> bool:
        status = await self._writes.retry_until_answered(
            f"find table {spec.name}", find_status, self._dynamodb, spec.name
        )
        if status is None:
            if not self._options.lease_table_create:
                raise ConfigurationError(f"table {spec.name} does not exist, and lease_table_create is off")
            await self._writes.retry_until_answered(f"create table {spec.name}", create_table, self._dynamodb, spec)
        return status in _USABLE

    async def _list_shards(self) -> Topology:
        try:
            topology = await self._reads.retry_until_answered(
                f"list the shards of {self._stream}", list_shards, self._kinesis, self._stream
            )
        except ClientError as error:
            if is_not_found(error):
                raise StreamGoneError(f"stream {self._stream} was deleted while it was read") from error
            raise
        self._listed_at = time.monotonic()
        return topology
