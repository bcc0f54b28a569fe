"""One shard while KCL holds its lease: the worker's side of one connection.

KCL and the session take turns. KCL sends a message and waits; only then may checkpoints be asked for, and a status ends
the turn. While there is room, a batch is handed out and the turn returned at once; without room, the session keeps the
turn, and KCL reads nothing more. What agents complete meanwhile is checkpointed in this turn or the next: KCL starts
one at least every `idleTimeBetweenReadsInMillis`, without records if there are none.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime

from faust_kinesis.errors import DaemonError
from faust_kinesis.kcl import protocol
from faust_kinesis.kcl.protocol import CheckpointAck, Initialize, LeaseEvent, ProcessRecords
from faust_kinesis.leases.checkpoint_tracker import SHARD_END, CheckpointTracker
from faust_kinesis.options import KinesisOptions
from faust_kinesis.ready_batches import ReadyBatches
from faust_kinesis.records import Record, RecordBatch
from faust_kinesis.source import ShardStatus

log = logging.getLogger(__name__)

_LEASE_IS_LOST = "ShutdownException"
_PASSING = frozenset({"ThrottlingException", "KinesisClientLibDependencyException"})
"""Errors of a checkpoint that are transient."""
_RETRY_AFTER = 1.0


class Session:
    """Serves one connection until KCL closes it.

    A checkpoint names the last record of the longest completed prefix of the batches handed out here, or SHARD_END once
    KCL has said that the shard ended and every batch is complete.
    """

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        *,
        stream: str,
        options: KinesisOptions,
        ready: ReadyBatches,
        moved: Callable[[], None],
    ) -> None:
        """`ready` gets the batches; `moved` is called when one is completed."""
        self.shard_id = ""
        self.tracker = CheckpointTracker(options.buffer_batches)
        self.heard_at = time.monotonic()
        self.over = False
        self._reader = reader
        self._writer = writer
        self._stream = stream
        self._options = options
        self._ready = ready
        self._on_moved = moved
        self._changed = asyncio.Event()
        self._handing_out = True
        self._closing = False
        self._lost = False
        self._stored = ""
        self._checkpointed_at = float("-inf")
        self._polled_at: datetime | None = None
        self._behind: int | None = None

    def stop_handing_out(self) -> None:
        """Hand out nothing more. From the next records on, the session keeps the turn until `close`."""
        self._handing_out = False
        self._changed.set()

    def close(self) -> None:
        """Answer KCL without waiting for batches in flight: the daemon is being stopped."""
        self._handing_out = False
        self._closing = True
        self._changed.set()

    def status(self) -> ShardStatus:
        """What is known of the shard, from memory."""
        return ShardStatus(
            shard_id=self.shard_id,
            owner=self._options.worker_id,
            checkpoint=self._stored.partition("/")[0],
            millis_behind_latest=self._behind,
            last_polled_at=self._polled_at,
            pending_batches=self.tracker.pending,
            ended=self._stored == SHARD_END,
        )

    async def run(self) -> None:
        """Serve to the end of the connection.

        Raises DaemonError: it ended out of turn, or a message violated the protocol.
        """
        try:
            while line := await self._read():
                await self._answer(protocol.parse(line))
        except (ConnectionError, ValueError) as error:
            raise DaemonError(f"the connection of shard {self.shard_id or '(none yet)'} broke: {error}") from error
        if not self.over:
            raise DaemonError(f"the child process of shard {self.shard_id or '(none yet)'} ended, or KCL closed it")

    async def _answer(self, message: protocol.Message) -> None:
        match message:
            case Initialize():
                self.shard_id = message.shard_id
                self._polled_at = datetime.now(UTC)
                self._stored = _position(message.checkpoint, message.sub_sequence_number)
                log.info(
                    "Reading shard %s of stream %s from %s",
                    self.shard_id,
                    self._stream,
                    message.checkpoint,
                    extra={
                        "action": "shard_started",
                        "stream": self._stream,
                        "shard": self.shard_id,
                        "checkpoint": message.checkpoint,
                    },
                )
                await self._end_turn("initialize")
            case ProcessRecords():
                await self._process(message)
                await self._end_turn("processRecords")
            case LeaseEvent():
                await self._end_lease(message)
                await self._end_turn(message.value)
            case CheckpointAck():
                raise DaemonError(f"KCL acknowledged a checkpoint of shard {self.shard_id} that nobody asked for")

    async def _end_lease(self, event: LeaseEvent) -> None:
        match event:
            case LeaseEvent.LOST:
                self._lose()
            case LeaseEvent.SHARD_ENDED:
                await self._finish_shard()
            case LeaseEvent.SHUTDOWN_REQUESTED:
                await self._shut_down()
        self.over = True

    async def _process(self, message: ProcessRecords) -> None:
        self._polled_at = datetime.now(UTC)
        if message.millis_behind_latest is not None:
            self._behind = message.millis_behind_latest
        if message.records:
            # Records that are not handed out block the shard: later ones would leave a gap.
            await self._wait(lambda: (self._handing_out and self.tracker.has_room) or self._closing or self._lost)
            if self._handing_out and not self._lost:
                self._hand_out(message.records)
        await self._checkpoint_if_due()

    def _hand_out(self, records: tuple[Record, ...]) -> None:
        last = records[-1]
        ticket = self.tracker.add(_position(last.sequence_number, last.sub_sequence_number))

        def completed() -> None:
            self._on_moved()
            if self.tracker.complete(ticket):
                self._changed.set()

        batch = RecordBatch(self._stream, self.shard_id, records, self._behind or 0, on_complete=completed)
        self._ready.add(batch, self)

    def _lose(self) -> None:
        self._ready.withdraw(self)
        if not self.over:
            log.warning(
                "Stream %s: the lease of %s is another worker's. Its batches stop here; the new owner goes on from the"
                " checkpoint",
                self._stream,
                self.shard_id,
                extra={"action": "lease_lost", "stream": self._stream, "shard": self.shard_id},
            )
        self._lost = self.over = True

    async def _finish_shard(self) -> None:
        self.tracker.close()
        await self._wait(lambda: self.tracker.checkpoint == SHARD_END or self._closing)
        stored = self._due() is None or await self._store_checkpoint()
        while not stored:
            await asyncio.sleep(_RETRY_AFTER)
            stored = await self._store_checkpoint()
        if self._stored == SHARD_END:
            log.info(
                "Shard %s of stream %s is read to its end",
                self.shard_id,
                self._stream,
                extra={"action": "shard_ended", "stream": self._stream, "shard": self.shard_id},
            )

    async def _shut_down(self) -> None:
        """Let agents complete their batches, as far as KCL waits for it, and checkpoint them."""
        limit = self._options.stop_timeout * 2 / 3
        await self._wait(lambda: self.tracker.pending == 0 or self._closing, limit)
        if self._due() is not None:
            await self._store_checkpoint()

    async def _wait(self, ready: Callable[[], bool], limit: float = float("inf")) -> None:
        """Keep the turn until `ready`, at most `limit` seconds; checkpoint what is completed meanwhile."""
        deadline = time.monotonic() + limit
        while not ready() and time.monotonic() < deadline:
            self._changed.clear()
            await self._checkpoint_if_due()
            if ready():
                return
            pause = min(deadline - time.monotonic(), max(0.05, self._options.checkpoint_interval), 1.0)
            try:
                await asyncio.wait_for(self._changed.wait(), max(0.0, pause))
            except TimeoutError:
                continue

    def _due(self) -> str | None:
        """The checkpoint that may be stored and is not."""
        reached = self.tracker.checkpoint
        return None if self._lost or reached == self._stored else reached

    async def _checkpoint_if_due(self) -> None:
        waited = time.monotonic() - self._checkpointed_at
        if self._due() not in {None, SHARD_END} and waited >= self._options.checkpoint_interval:
            await self._store_checkpoint()

    async def _store_checkpoint(self) -> bool:
        """Ask for the checkpoint that is due; whether KCL stored it, or it is no longer ours to store."""
        reached = self._due()
        assert reached is not None
        sequence_number, _, sub = reached.partition("/")
        await self._write(protocol.checkpoint(sequence_number, int(sub or 0)))
        line = await self._read()
        answer = protocol.parse(line) if line else None
        if not isinstance(answer, CheckpointAck):
            raise DaemonError(f"KCL did not acknowledge the checkpoint {sequence_number} of shard {self.shard_id}")
        self._checkpointed_at = time.monotonic()
        if answer.error is None:
            self._stored = reached
        elif answer.error == _LEASE_IS_LOST:
            self._lose()
        elif answer.error in _PASSING:
            log.warning(
                "Could not checkpoint shard %s of stream %s (%s), trying again",
                self.shard_id,
                self._stream,
                answer.error,
                extra={"action": "checkpoint_retried", "stream": self._stream, "shard": self.shard_id},
            )
            return False
        else:
            raise DaemonError(f"KCL refused to checkpoint shard {self.shard_id} at {sequence_number}: {answer.error}")
        return True

    async def _end_turn(self, action: str) -> None:
        await self._write(protocol.status(action))

    async def _write(self, line: bytes) -> None:
        self._writer.write(line)
        await self._writer.drain()

    async def _read(self) -> bytes:
        line = await self._reader.readline()
        self.heard_at = time.monotonic()
        return line


def _position(sequence_number: str, sub_sequence_number: int) -> str:
    """A position in a shard, as `CheckpointTracker` keeps it: a record, or one of those that KPL aggregated in it."""
    return f"{sequence_number}/{sub_sequence_number}"
