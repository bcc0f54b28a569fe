"""One shard while this worker holds its lease: read, hand out, checkpoint, renew."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import partial

from botocore.exceptions import ClientError

from aws_client.call_pool import CallPool
from aws_client.failures import is_not_found
from aws_client.retry import RetryPolicy
from faust_kinesis.errors import CheckpointRefusedError
from faust_kinesis.leases.checkpoint_tracker import SHARD_END, CheckpointTracker
from faust_kinesis.leases.table import Lease, LeaseTable
from faust_kinesis.leases.topology import Topology
from faust_kinesis.options import KinesisOptions
from faust_kinesis.polling.shard_reader import Page, ShardReader
from faust_kinesis.records import RecordBatch
from faust_kinesis.source import ShardStatus

log = logging.getLogger(__name__)

_BACKOFF = RetryPolicy()
_MAX_CONTRADICTIONS = 6
"""How often in a row a shard may be listed and yet be unknown: a listing may lag a reshard by seconds."""

_LEAST_INTERVAL = 0.2
"""Seconds. AWS, "Kinesis Data Streams quotas and limits": five read transactions a second a shard."""


def next_read(started: float, interval: float) -> float:
    """When a shard is read again whose last read began at `started`, by the same clock: once an interval.

    All shards are read at the same moments, the multiples of the interval, so that what was written to them at one time
    comes together. One that was late catches up with the others, as fast as five reads a second allow.
    """
    return max((round(started / interval) + 1) * interval, started + min(interval, _LEAST_INTERVAL))


class ShardRunner:
    """Reads and checkpoints one shard until its end is checkpointed, its lease is lost, or it is stopped.

    `offer` queues a batch for the agents. `sync` lists the stream's shards anew and ensures that each has its lease.
    """

    def __init__(
        self,
        lease: Lease,
        *,
        stream: str,
        options: KinesisOptions,
        table: LeaseTable,
        lease_calls: CallPool,
        reader: ShardReader,
        offer: Callable[[RecordBatch], None],
        sync: Callable[[], Awaitable[Topology]],
    ) -> None:
        self.lease = lease
        self.tracker = CheckpointTracker(options.buffer_batches)
        self._stream = stream
        self._options = options
        self._table = table
        self._calls = lease_calls
        self._reader = reader
        self._offer = offer
        self._sync = sync
        self._children: frozenset[str] = frozenset()
        self._writing = asyncio.Lock()
        self._moved = asyncio.Event()
        self._room = asyncio.Event()
        self._fetching = True
        self._written_at = time.monotonic()
        #: A shard that was never read has stood still since then.
        self._polled_at = datetime.now(UTC)
        self._behind: int | None = None

    async def run(self) -> None:
        """Run until the shard's end is checkpointed.

        Raises LeaseLostError: another worker owns the lease. Nothing is checkpointed any more.
        Raises FaustKinesisError: retrying cannot help.
        Raises ClientError: likewise.
        """
        tasks = {asyncio.create_task(self._read()), asyncio.create_task(self._checkpoint_as_completed())}
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def stop_fetching(self) -> None:
        """Read no more pages. Batches in flight may still be completed, and are checkpointed."""
        self._fetching = False

    async def renew(self) -> None:
        """Renew the lease, unless it was written lately.

        Raises LeaseLostError: another worker owns it.
        """
        if time.monotonic() - self._written_at >= self._options.renew_interval / 2:
            await self._write("renew the lease of", lambda: partial(self._table.renew, self.lease))

    async def give_back(self) -> None:
        """Checkpoint what is completed, and release the lease. Call it after `run` has ended.

        Raises LeaseLostError: another worker owns the lease.
        """
        await self._checkpoint()
        await self._write(
            "release the lease of", lambda: None if self.lease.ended else partial(self._table.release, self.lease)
        )

    def status(self) -> ShardStatus:
        """The shard's status, from memory."""
        return ShardStatus(
            shard_id=self.lease.key,
            owner=self.lease.owner,
            checkpoint=self.lease.checkpoint,
            millis_behind_latest=self._behind,
            last_polled_at=self._polled_at,
            pending_batches=self.tracker.pending,
            ended=self.lease.ended,
            lease_counter=self.lease.counter,
        )

    async def _read(self) -> None:
        while True:
            await self._wait_for_room()
            started = time.monotonic()
            page = await self._next_page()
            self._polled_at = datetime.now(UTC)
            self._behind = page.millis_behind_latest
            if page.records and self._fetching:
                self._hand_out(page)
            if page.last and self._fetching:
                break
            await asyncio.sleep(max(0.0, next_read(started, self._options.poll_interval) - time.monotonic()))
        # Before the parent's end is checkpointed: a closed shard's children always have leases.
        self._children = (await self._sync()).children(self.lease.key)
        self.tracker.close()
        self._moved.set()

    async def _wait_for_room(self) -> None:
        while not (self._fetching and self.tracker.has_room):
            self._room.clear()
            await self._room.wait()

    async def _next_page(self) -> Page:
        attempt = 0
        while True:
            try:
                return await self._reader.next_page()
            except ClientError as error:
                if not is_not_found(error):
                    raise
                if self.lease.key not in (await self._sync()).shards:
                    self._log_gone()
                    return Page((), 0, last=True)
                attempt += 1
                if attempt == _MAX_CONTRADICTIONS:
                    raise CheckpointRefusedError(
                        f"stream {self._stream} lists shard {self.lease.key} and yet does not know it, or not the"
                        f" record at its checkpoint {self.lease.checkpoint}: {error}"
                    ) from error
            await asyncio.sleep(_BACKOFF.delay(attempt))

    def _log_gone(self) -> None:
        log.warning(
            "Shard %s is gone from stream %s before it was read to its end (last checkpoint %s): records in it may be"
            " lost to this stream. Going on with its children; compare with the origin of the records",
            self.lease.key,
            self._stream,
            self.lease.checkpoint,
            extra={"action": "shard_gone", "stream": self._stream, "shard": self.lease.key},
        )

    def _hand_out(self, page: Page) -> None:
        ticket = self.tracker.add(page.records[-1].sequence_number)

        def completed() -> None:
            if self.tracker.complete(ticket):
                self._moved.set()
                self._room.set()

        self._offer(
            RecordBatch(self._stream, self.lease.key, page.records, page.millis_behind_latest, on_complete=completed)
        )

    async def _checkpoint_as_completed(self) -> None:
        while not self.lease.ended:
            await self._moved.wait()
            self._moved.clear()
            await self._checkpoint()
            if not self.lease.ended and self.tracker.checkpoint != SHARD_END:
                await asyncio.sleep(self._options.checkpoint_interval)

    async def _checkpoint(self) -> None:
        await self._write("checkpoint", self._plan_checkpoint)

    def _plan_checkpoint(self) -> Callable[[], Lease] | None:
        lease, reached = self.lease, self.tracker.checkpoint
        if reached is None or reached == lease.checkpoint:
            return None
        children = self._children if reached == SHARD_END else frozenset()
        return partial(self._table.checkpoint, lease, reached, children)

    async def _write(self, action: str, plan: Callable[[], Callable[[], Lease] | None]) -> None:
        """Write to the lease, one write at a time, planned when its turn comes.

        A write that has begun is completed even when the caller is cancelled, and retried unchanged: otherwise nobody
        would know whether the counter was raised.
        """
        await asyncio.shield(asyncio.ensure_future(self._write_alone(action, plan)))

    async def _write_alone(self, action: str, plan: Callable[[], Callable[[], Lease] | None]) -> None:
        async with self._writing:
            if write := plan():
                self.lease = await self._calls.retry_until_answered(f"{action} {self.lease.key}", write)
                self._written_at = time.monotonic()
