"""Puts what the table's stream shows, every aggregate's events in order."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import structlog

from aws_client.call_pool import CallPool
from aws_client.failures import is_transient
from faust_kinesis.errors import RequestRefusedError, typed
from faust_kinesis.sending.ordered_writer import OrderedWriter, PutsRecords
from faust_kinesis.sending.put_records import COMMON_RECORD
from ledger.store.stored_event import StoredEvent
from stream_bridge.relay.change_records import ChangeRecord, change_record_of, inserted
from stream_bridge.relay.health import RelayHealth
from stream_bridge.relay.leader_lease import Term
from stream_bridge.relay.lookback import Lookback
from stream_bridge.relay.ordering import SentVersions, missing

if TYPE_CHECKING:
    from mypy_boto3_dynamodbstreams.type_defs import RecordTypeDef
    from mypy_boto3_kinesis.type_defs import PutRecordsOutputTypeDef, PutRecordsRequestEntryTypeDef

log = structlog.get_logger(__name__)

Sent = asyncio.Future[str]
_REFUSING: Final = "put records"


class FencedStream:
    """PutRecords, fenced by the term.

    A record that can never be put ends the term too: its aggregate's next one must not overtake it. Only a record over
    the size that every stream takes is skipped, as the native destination does.
    """

    def __init__(self, kinesis: PutsRecords, term: Term) -> None:
        self._kinesis = kinesis
        self._term = term

    def put_records(
        self,
        *,
        StreamName: str,  # noqa: N803 - the API's name
        Records: Sequence["PutRecordsRequestEntryTypeDef"],  # noqa: N803
    ) -> "PutRecordsOutputTypeDef":
        """Call PutRecords. Raises LeaseNotHeldError once the term is over."""
        self._term.check()
        try:
            return self._kinesis.put_records(StreamName=StreamName, Records=Records)
        except Exception as error:
            failure = typed(error, f"put to stream {StreamName}")
            passed_by = len(Records) == 1 and _fits_no_stream(_size(Records[0]), failure)
            if not is_transient(error) and not passed_by:
                self._term.end("a record cannot be put", failure)
            raise


class OrderedSender:
    """Sends pages of change records to the stream, for one term."""

    def __init__(
        self,
        term: Term,
        *,
        stream: str,
        table: str,
        region: str,
        kinesis: PutsRecords,
        puts: CallPool,
        lookback: Lookback,
        health: RelayHealth,
    ) -> None:
        #: What the table's stream took before this moment has been put.
        self.since = datetime.now(UTC)
        self._table = table
        self._region = region
        self._lookback = lookback
        self._health = health
        self._versions = SentVersions()
        self._one_page = asyncio.Lock()
        self._writer: OrderedWriter[str] = OrderedWriter(
            stream,
            FencedStream(kinesis, term),
            puts,
            linger=0.0,
            answer=lambda _, sequence_number: sequence_number,
            on_refused=self._refused,
        )

    async def send(self, records: Sequence["RecordTypeDef"]) -> list[tuple[ChangeRecord, Sent]]:
        """Queue records to be put, preceded by what their aggregates lack; waits while the queue is full.

        Each future resolves when Kinesis has the record: **at least once**, and after every earlier event of its
        aggregate. It raises a FaustKinesisError when that will never be.

        Raises ResourceError when the event store cannot be read.
        """
        async with self._one_page:
            changes = await self._in_order([change_record_of(record, self._table, self._region) for record in records])
            return [(change, await self._writer.add(change.partition_key, change.data)) for change in changes]

    async def stop(self) -> None:
        """Stop. What is still queued is not put: its futures raise NotSentError."""
        await self._writer.stop()

    async def _in_order(self, changes: Sequence[ChangeRecord]) -> list[ChangeRecord]:
        shown: defaultdict[str, list[ChangeRecord]] = defaultdict(list)
        others = [change for change in changes if change.event is None]
        for change in changes:
            if change.event is not None:
                shown[change.event.aggregate_id].append(change)
        for aggregate in shown.values():
            aggregate.sort(key=_number)
        fetched = await asyncio.gather(
            *(self._missing(aggregate_id, aggregate) for aggregate_id, aggregate in shown.items())
        )
        ordered: list[ChangeRecord] = []
        for (aggregate_id, aggregate), lacking in zip(shown.items(), fetched, strict=True):
            ordered += sorted([*aggregate, *lacking], key=_number)
            self._versions.reach(aggregate_id, map(_number, aggregate))
        # What is no event comes last: it has no place among an aggregate's events.
        return ordered + others

    async def _missing(self, aggregate_id: str, shown: Sequence[ChangeRecord]) -> list[ChangeRecord]:
        numbers = sorted({_number(change) for change in shown})
        found: list[ChangeRecord] = []
        for lacking in missing(numbers, self._versions.get(aggregate_id)):
            read = await self._lookback.read(aggregate_id, lacking, self.since)
            found += [inserted(event, self._table, self._region) for event in read]
            self._health.from_store.inc(len(read))
            if lacking.after is not None:
                self._health.gaps.inc()
                log.info(
                    "gap_filled", aggregate=aggregate_id, first=lacking.after + 1, last=lacking.until, events=len(read)
                )
        return found

    def _refused(self, count: int, code: str | None) -> None:
        self._health.refusals.inc(count)
        if count:
            self._health.failed(_REFUSING, f"the stream refuses records ({code})")
        else:
            self._health.over(_REFUSING)


def is_skipped(change: ChangeRecord, error: BaseException) -> bool:
    """Whether a record that was refused for good is too large for any stream, so that the relay skips it."""
    return _fits_no_stream(len(change.data) + len(change.partition_key), error)


def _fits_no_stream(size: int, error: BaseException) -> bool:
    return size > COMMON_RECORD and isinstance(error, RequestRefusedError)


def _size(record: "PutRecordsRequestEntryTypeDef") -> int:
    data = record["Data"]
    return len(data if isinstance(data, bytes | bytearray) else bytes(str(data), "utf-8")) + len(record["PartitionKey"])


def _event(change: ChangeRecord) -> StoredEvent:
    assert change.event is not None
    return change.event


def _number(change: ChangeRecord) -> int:
    return _event(change).sequence_number
