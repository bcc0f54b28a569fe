"""Relays one shard of the table's stream during a term: read, send, checkpoint."""

import asyncio
import time
from typing import Final

import structlog

from aws_client.call_pool import CallPool
from faust_kinesis.errors import FaustKinesisError
from faust_kinesis.leases.checkpoint_tracker import SHARD_END, CheckpointTracker
from faust_kinesis.leases.table import Lease, LeaseTable
from stream_bridge.dynamodb_stream import TablePage, TableShardReader
from stream_bridge.relay.change_records import ChangeRecord, created_at
from stream_bridge.relay.health import RelayHealth, ShardHealth
from stream_bridge.relay.sender import OrderedSender, Sent, is_skipped

log = structlog.get_logger(__name__)

#: Pages of a shard (at most 1 MB each) that may be read and not yet put: the bound on memory.
MAX_PAGES: Final = 8
#: Seconds between two reads of a shard without new records, and between two checkpoints.
POLL_INTERVAL: Final = 0.25
CHECKPOINT_INTERVAL: Final = 0.5


class ShardRelay:
    """Relays one shard until its end is checkpointed. A checkpoint is written only **after** the put."""

    def __init__(
        self,
        row: Lease,
        *,
        table: LeaseTable,
        calls: CallPool,
        reader: TableShardReader,
        sender: OrderedSender,
        health: RelayHealth,
    ) -> None:
        self.row = row
        self._table = table
        self._calls = calls
        self._reader = reader
        self._sender = sender
        self._health = health
        self._shard = ShardHealth(time.monotonic())
        self._tracker = CheckpointTracker(MAX_PAGES)
        self._reading = True
        self._changed = asyncio.Event()
        self._room = asyncio.Event()
        self._writing = asyncio.Lock()

    async def run(self) -> None:
        """Run until the shard's end is checkpointed; with ``stop_reading``, until what was read is put.

        Raises LeaseLostError when another relay has taken the row, LeaseNotHeldError when the term is over,
        ResourceError or another FaustKinesisError when no retry can help. Nothing is checkpointed after that.
        """
        self._health.shards[self._reader.shard_id] = self._shard
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._read(group))
                group.create_task(self._checkpoint())
        except ExceptionGroup as errors:
            raise _first(errors) from None
        finally:
            self._health.shards.pop(self._reader.shard_id, None)

    def stop_reading(self) -> None:
        """Stop reading; what was read is still put and checkpointed, and then ``run`` returns."""
        self._reading = False
        self._room.set()
        self._changed.set()

    async def _read(self, group: asyncio.TaskGroup) -> None:
        while await self._has_room():
            page = await self._reader.next_page()
            self._shard.polled_at = time.monotonic()
            self._shard.behind = bool(page.records)
            if page.lost:
                self._health.losses.inc()
            if not self._reading:
                break
            if page.records:
                await self._send(page, group)
            if page.last:
                self._tracker.close()
                break
            if not page.records:
                await asyncio.sleep(POLL_INTERVAL)
        self._reading = False
        self._changed.set()

    async def _has_room(self) -> bool:
        while self._reading and not self._tracker.has_room:
            # Waiting for room counts as following the shard.
            self._shard.polled_at = time.monotonic()
            self._room.clear()
            await self._room.wait()
        return self._reading

    async def _send(self, page: TablePage, group: asyncio.TaskGroup) -> None:
        ticket = self._tracker.add(page.records[-1]["dynamodb"]["SequenceNumber"])
        if self._shard.oldest is None:
            self._shard.oldest = created_at(page.records[0])
        sent = await self._sender.send(page.records)

        async def complete() -> None:
            for change, put in sent:
                await self._put(change, put)
            self._health.put(len(page.records))
            self._tracker.complete(ticket)
            self._shard.oldest = created_at(page.records[-1]) if self._tracker.pending else None
            self._room.set()
            self._changed.set()

        group.create_task(complete())

    async def _put(self, change: ChangeRecord, put: Sent) -> None:
        try:
            await put
        except FaustKinesisError as error:
            if not is_skipped(change, error):
                raise
            self._health.skipped.inc()
            log.warning(
                "record_passed_by",
                aggregate=change.partition_key,
                sequence_number=change.event.sequence_number if change.event else None,
                reason=str(error),
                action="none: the projector reads it from the event store at the aggregate's next event",
            )

    async def _checkpoint(self) -> None:
        while not self.row.ended and (self._reading or self._tracker.pending or self._unwritten):
            await self._changed.wait()
            self._changed.clear()
            reached = self._tracker.checkpoint
            if reached is not None and reached != self.row.checkpoint:
                self.row = await self._calls.retry_until_answered(
                    f"checkpoint {self._reader.shard_id}", self._table.checkpoint, self.row, reached
                )
                if self._reading and reached != SHARD_END:
                    await asyncio.sleep(CHECKPOINT_INTERVAL)

    @property
    def _unwritten(self) -> bool:
        return self._tracker.checkpoint not in {None, self.row.checkpoint}


def _first(errors: BaseExceptionGroup[Exception]) -> Exception:
    """The first failure: the others are its consequences."""
    first: BaseException = errors
    while isinstance(first, BaseExceptionGroup):
        first = first.exceptions[0]
    assert isinstance(first, Exception)
    return first
