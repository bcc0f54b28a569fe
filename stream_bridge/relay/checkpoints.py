"""Checkpoints of the relay: a row per shard of the table's stream, beside the relay's lease, in KCL's lease format.

A row's key has the stream's label before the shard id: a table whose stream was switched off and on has another stream,
perhaps with shards of the same ids. The active relay takes every row when its term begins, which fences off the
previous relay: its checkpoints fail from then on.
"""

from collections.abc import Mapping

import structlog

from aws_client.call_pool import CallPool
from faust_kinesis.errors import LeaseLostError
from faust_kinesis.leases.planner import parents_are_done
from faust_kinesis.leases.table import TRIM_HORIZON, Lease, LeaseTable
from stream_bridge.dynamodb_stream import StreamDescription
from stream_bridge.relay.leader_lease import RELAY

log = structlog.get_logger(__name__)


def row_key(label: str, shard_id: str) -> str:
    """The key of a shard's row."""
    return f"{label}/{shard_id}"


def shard_of(row: Lease) -> str:
    """The shard id of a row."""
    return row.key.partition("/")[2]


def missing_rows(stream: StreamDescription, rows: Mapping[str, Lease]) -> list[Lease]:
    """The rows to create for listed shards, each starting at its oldest record, so that nothing is skipped. Pure."""
    return [
        Lease(
            row_key(stream.label, shard.shard_id),
            TRIM_HORIZON,
            parents=frozenset(row_key(stream.label, parent) for parent in shard.parents),
        )
        for shard in stream.shards.values()
        if row_key(stream.label, shard.shard_id) not in rows
    ]


def rows_to_read(stream: StreamDescription, rows: Mapping[str, Lease]) -> list[Lease]:
    """The rows of this stream whose shards may be read now: not ended, and their parents relayed completely. Pure.

    A shard that has left the stream unread is among them: its reader finds out, and reports what is lost.
    """
    prefix = row_key(stream.label, "")
    own = {key: row for key, row in rows.items() if key.startswith(prefix)}
    return [row for _, row in sorted(own.items()) if not row.ended and parents_are_done(row, own)]


def rows_to_forget(stream: StreamDescription, rows: Mapping[str, Lease]) -> list[Lease]:
    """The rows of ended shards that have left the stream, and those of the table's earlier streams. Pure."""
    listed = {row_key(stream.label, shard_id) for shard_id in stream.shards}
    prefix = row_key(stream.label, "")
    gone = (row for key, row in rows.items() if key != RELAY and key not in listed)
    return [row for row in gone if row.ended or not row.key.startswith(prefix)]


class RelayCheckpoints:
    """The rows of one term. Not safe for concurrent tasks."""

    def __init__(self, table: LeaseTable, calls: CallPool, worker_id: str) -> None:
        self._table = table
        self._calls = calls
        self._worker_id = worker_id
        self._held: set[str] = set()

    async def sync(self, stream: StreamDescription) -> list[Lease]:
        """Create missing rows, take over those that are not this term's, delete those of finished shards.

        Returns the rows whose shards may be read now, as they are stored. Raises LeaseLostError when another relay has
        taken a row of this term.
        """
        rows = {key: row for key, row in (await self._scan()).items() if key != RELAY}
        for row in missing_rows(stream, rows):
            await self._calls.retry_until_answered(f"make the row of {row.key}", self._table.add, row)
            rows[row.key] = row
        for row in rows_to_forget(stream, rows):
            del rows[row.key]
            if not row.ended:
                log.error(
                    "stream_replaced",
                    shard=shard_of(row),
                    checkpoint=row.checkpoint,
                    action="reads the table's new stream; a backfill brings what was not relayed of the old one",
                )
            await self._calls.retry_until_answered(f"forget the row of {row.key}", self._table.remove, row)
        for row in list(rows.values()):
            if row.key not in self._held and not row.ended:
                rows[row.key] = await self._take(row)
        return rows_to_read(stream, rows)

    async def unfinished(self, stream: StreamDescription) -> list[Lease]:
        """The rows of this stream's shards that are not relayed to their end, also of those that wait for a parent."""
        prefix = row_key(stream.label, "")
        return [row for key, row in (await self._scan()).items() if key.startswith(prefix) and not row.ended]

    async def _take(self, row: Lease) -> Lease:
        while True:
            try:
                taken = await self._calls.retry_until_answered(
                    f"take the row of {row.key}", self._table.take, row, self._worker_id
                )
            except LeaseLostError:
                # The previous relay wrote its last checkpoint just now; our write fences it off.
                found = (await self._scan()).get(row.key)
                if found is None:
                    raise
                row = found
            else:
                self._held.add(row.key)
                return taken

    async def _scan(self) -> dict[str, Lease]:
        return await self._calls.retry_until_answered("look at the relay's rows", self._table.scan)
