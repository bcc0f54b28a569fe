"""Puts the records of one stream, in order per partition key."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from aws_client.call_pool import CallPool
from faust_kinesis.errors import FaustKinesisError, NotSentError, typed
from faust_kinesis.sending.put_queue import PutQueue
from faust_kinesis.sending.put_records import OutgoingRecord, RefusalBackoff, entries, outcome_of

if TYPE_CHECKING:
    from mypy_boto3_kinesis.type_defs import (
        PutRecordsOutputTypeDef,
        PutRecordsRequestEntryTypeDef,
    )

log = logging.getLogger(__name__)

T = TypeVar("T")

MAX_WAITING = 10_000
"""Maximum records queued for a stream; beyond that, sending waits."""


class PutsRecords(Protocol):
    """The one call that a writer makes: a Kinesis client, or a wrapper of one."""

    def put_records(
        self,
        *,
        StreamName: str,  # noqa: N803 - the API's name
        Records: Sequence[PutRecordsRequestEntryTypeDef],  # noqa: N803
    ) -> PutRecordsOutputTypeDef:
        """PutRecords."""


class OrderedWriter(Generic[T]):
    """One task, one PutRecords call in flight."""

    def __init__(
        self,
        stream: str,
        kinesis: PutsRecords,
        calls: CallPool,
        linger: float,
        *,
        answer: Callable[[str, str], T],
        on_refused: Callable[[int, str | None], None] | None = None,
        backoff: RefusalBackoff | None = None,
    ) -> None:
        """`answer` makes a sender's receipt of its record's shard id and sequence number.

        `on_refused` gets, for each call, how many of its records were refused and the code of the first.
        """
        self._stream = stream
        self._kinesis = kinesis
        self._calls = calls
        self._linger = linger
        self._answer = answer
        self._on_refused = on_refused
        self._backoff = backoff or RefusalBackoff()
        self._queue: PutQueue[asyncio.Future[T]] = PutQueue()
        self._changed = asyncio.Condition()
        self._task = asyncio.create_task(self._put_for_ever(), name=f"faust-kinesis-put-{stream}")

    async def add(self, partition_key: str, data: bytes) -> asyncio.Future[T]:
        """Queue a record; waits while the queue is full.

        The future resolves when Kinesis has the record, which is put **at least once**: a lost response makes it come
        twice. It raises a PermanentError when the record can never be put.
        """
        async with self._changed:
            await self._changed.wait_for(lambda: len(self._queue) < MAX_WAITING)
            sent: asyncio.Future[T] = asyncio.get_running_loop().create_future()
            self._queue.add(OutgoingRecord(partition_key, data, sent))
            self._changed.notify_all()
            return sent

    async def flush(self) -> None:
        """Wait until the queue is empty."""
        async with self._changed:
            await self._changed.wait_for(lambda: not len(self._queue))

    async def stop(self) -> None:
        """End. Records still queued fail with NotSentError."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        left = [record for record in self._queue.drain() if not record.receipt.done()]
        for record in left:
            record.receipt.set_exception(
                NotSentError(f"the worker stopped before the record was put to {self._stream}")
            )
            # Logged below for all of them: a future that nobody awaits must not complain as well.
            record.receipt.exception()
        if left:
            log.error(
                "Stopped with %d records not put to stream %s",
                len(left),
                self._stream,
                extra={"action": "records_not_sent", "stream": self._stream, "records": len(left)},
            )

    async def _put_for_ever(self) -> None:
        while True:
            async with self._changed:
                await self._changed.wait_for(lambda: bool(len(self._queue)))
            if self._linger and not self._backoff.rounds:
                await asyncio.sleep(self._linger)
            await self._put(self._queue.next_call())

    async def _put(self, records: list[OutgoingRecord[asyncio.Future[T]]]) -> None:
        try:
            answer = await self._calls.retry_until_answered(
                f"put {len(records)} records to {self._stream}",
                self._kinesis.put_records,
                StreamName=self._stream,
                Records=entries(records),
            )
        except (ClientError, BotoCoreError, FaustKinesisError) as error:
            failure = typed(error, f"put to stream {self._stream}")
            for record in records:
                if not record.receipt.done():
                    record.receipt.set_exception(failure)
            await self._settle(records)
            return
        outcome = outcome_of(records, answer)
        if self._on_refused:
            self._on_refused(len(outcome.refused), outcome.code)
        for record, result in outcome.taken:
            if not record.receipt.done():
                record.receipt.set_result(self._answer(result["ShardId"], result["SequenceNumber"]))
        await self._settle([record for record, _ in outcome.taken])
        pause = self._backoff.after(outcome)
        if outcome.refused and self._backoff.should_log:
            log.warning(
                "Stream %s refused %d records (%s), putting them again",
                self._stream,
                len(outcome.refused),
                outcome.code,
                extra={"action": "records_refused", "stream": self._stream, "records": len(outcome.refused)},
            )
        await asyncio.sleep(pause)

    async def _settle(self, records: list[OutgoingRecord[asyncio.Future[T]]]) -> None:
        async with self._changed:
            self._queue.settle(records)
            self._changed.notify_all()
