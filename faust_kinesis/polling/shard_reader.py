"""Reading one shard, page by page."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

from botocore.exceptions import ClientError

from aws_client.call_pool import CallPool
from aws_client.failures import code_of
from faust_kinesis.errors import CheckpointRefusedError
from faust_kinesis.leases.table import AT_TIMESTAMP, LATEST, TRIM_HORIZON, Lease
from faust_kinesis.records import Record

if TYPE_CHECKING:
    from mypy_boto3_kinesis import KinesisClient
    from mypy_boto3_kinesis.type_defs import RecordTypeDef

log = logging.getLogger(__name__)

_Answer = TypeVar("_Answer", bound=Mapping[str, Any])


@dataclass(frozen=True, slots=True)
class Page:
    """A response of GetRecords. After the `last` page the shard has no more records."""

    records: tuple[Record, ...]
    millis_behind_latest: int
    last: bool


def iterator_request(lease: Lease, delivered: str | None, *, at_first_start: bool) -> dict[str, Any]:
    """Where to continue, as GetShardIterator's arguments. Pure.

    After the last record delivered in this run; else after the checkpoint; else at the lease's starting position.
    LATEST means the shard's end only in the run that created the lease. Later it means the time of that creation, so
    that neither an expired iterator nor a restart skips records written before the first read.
    """
    if delivered or lease.checkpoint not in {TRIM_HORIZON, LATEST, AT_TIMESTAMP}:
        return {
            "ShardIteratorType": "AFTER_SEQUENCE_NUMBER",
            "StartingSequenceNumber": delivered or lease.checkpoint,
        }
    if lease.checkpoint == LATEST and (at_first_start or lease.start_at is None):
        return {"ShardIteratorType": "LATEST"}
    if lease.checkpoint == TRIM_HORIZON or lease.start_at is None:
        return {"ShardIteratorType": "TRIM_HORIZON"}
    return {"ShardIteratorType": "AT_TIMESTAMP", "Timestamp": lease.start_at}


def first_unread(read: Callable[[str], _Answer], iterator: str | None, reads: int = 5) -> _Answer | None:
    """The first answer of GetRecords with a record; after so many `reads`, or at the tip or the end, the last one.

    An answer may hold no record although there are some further on. None when there was nothing to read. Works on both
    kinds of streams; only Kinesis tells the tip, by MillisBehindLatest.
    """
    answer = None
    while iterator is not None and reads > 0:
        answer, reads = read(iterator), reads - 1
        if answer["Records"] or answer.get("MillisBehindLatest") == 0:
            break
        iterator = answer.get("NextShardIterator")
    return answer


class ShardReader:
    """Reads a shard from its lease's position, in order, no page twice."""

    def __init__(
        self,
        kinesis: KinesisClient,
        calls: CallPool,
        stream: str,
        lease: Lease,
        batch_size: int,
        *,
        at_first_start: bool,
    ) -> None:
        self._kinesis = kinesis
        self._calls = calls
        self._stream = stream
        self._lease = lease
        self._batch_size = batch_size
        self._at_first_start = at_first_start
        self._iterator: str | None = None
        self._delivered: str | None = None

    async def next_page(self) -> Page:
        """The next page, possibly empty. Retries transient failures, and replaces an expired iterator.

        Raises CheckpointRefusedError: Kinesis does not know the checkpoint's sequence number.
        Raises ClientError: ResourceNotFoundException when the shard or the stream is gone, or another permanent one.
        """
        while True:
            if self._iterator is None:
                self._iterator = await self._new_iterator()
            try:
                page, self._iterator = await self._calls.retry_until_answered(
                    f"read {self._lease.key}", self._read, self._iterator
                )
            except ClientError as error:
                if code_of(error) != "ExpiredIteratorException":
                    raise
                self._iterator = None
                log.info(
                    "The iterator of %s expired; reading on after the last record",
                    self._lease.key,
                    extra={"action": "iterator_expired", "stream": self._stream, "shard": self._lease.key},
                )
                continue
            if page.records:
                self._delivered = page.records[-1].sequence_number
            return page

    def _read(self, iterator: str) -> tuple[Page, str | None]:
        """The page at `iterator`, and the iterator of the next one. Blocks."""
        answer = self._kinesis.get_records(ShardIterator=iterator, Limit=self._batch_size)
        following = answer.get("NextShardIterator")
        records = tuple(map(_record_of, answer["Records"]))
        return Page(records, int(answer.get("MillisBehindLatest") or 0), last=following is None), following

    async def _new_iterator(self) -> str:
        request = iterator_request(self._lease, self._delivered, at_first_start=self._at_first_start)
        # From now on, LATEST means the time of the first start, not a new end of the shard.
        self._at_first_start = False
        try:
            answer = await self._calls.retry_until_answered(
                f"find the place in {self._lease.key}",
                self._kinesis.get_shard_iterator,
                StreamName=self._stream,
                ShardId=self._lease.key,
                **request,
            )
        except ClientError as error:
            if code_of(error) == "InvalidArgumentException" and "StartingSequenceNumber" in request:
                raise CheckpointRefusedError(
                    f"shard {self._lease.key} of stream {self._stream} does not know sequence number"
                    f" {request['StartingSequenceNumber']}, which the lease table keeps for it. If the stream was"
                    f" deleted and made anew, delete the lease table or reset its leases. Kinesis says: {error}"
                ) from error
            raise
        return answer["ShardIterator"]


def _record_of(record: RecordTypeDef) -> Record:
    arrived = record.get("ApproximateArrivalTimestamp")
    return Record(
        data=record["Data"],
        partition_key=record["PartitionKey"],
        sequence_number=record["SequenceNumber"],
        arrived_at=arrived.astimezone(UTC) if arrived else datetime.now(UTC),
    )
