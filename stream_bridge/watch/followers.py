"""Tails the two streams that the watch compares: the table's own, and the Kinesis stream."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from aws_client.call_pool import CallPool
from aws_client.failures import is_not_found
from faust_kinesis.leases.table import AT_TIMESTAMP, LATEST, TRIM_HORIZON, Lease
from faust_kinesis.leases.topology import list_shards
from faust_kinesis.polling.shard_reader import ShardReader
from faust_kinesis.records import Record
from ledger.runtime.aws import aws_errors
from ledger.store.change_record import decode
from ledger.store.errors import CorruptHistoryError, UnusableRecordError
from ledger.store.stored_event import StoredEvent
from stream_bridge.dynamodb_stream import StreamDescription, TableStream
from stream_bridge.watch.reconciler import Key
from stream_bridge.watch.watermark import Watermark

if TYPE_CHECKING:
    from mypy_boto3_dynamodbstreams.type_defs import RecordTypeDef
    from mypy_boto3_kinesis import KinesisClient

Sink = Callable[[list[Key]], None]

#: Seconds between two listings of shards.
_SYNC: Final = 5.0
#: How much earlier than the watermark both streams are read: their times are whole seconds of other clocks.
MARGIN: Final = timedelta(seconds=60)
#: How much earlier than that an event may be on Kinesis before the table's stream shows it.
_LEAD: Final = timedelta(seconds=60)
#: How long the table's stream keeps a record.
_KEPT: Final = timedelta(hours=24)


class TableTail:
    """Passes the keys of the events that the table took to ``sink``, from ``watermark`` on; without one, from now on.

    ``begins``: called without a watermark, before anything is read, with the one to resume from after a kill.
    ``lost``: called with the moment since which events may be missing from the table stream. ``full``: while it
    returns true, nothing is read.
    """

    def __init__(
        self,
        stream: TableStream,
        sink: Sink,
        begins: Callable[[Watermark], Awaitable[None]],
        lost: Callable[[datetime], None],
        full: Callable[[], bool],
        watermark: Watermark | None,
        interval: float,
    ) -> None:
        self._stream = stream
        self._sink = sink
        self._begins = begins
        self._lost = lost
        self._full = full
        self._interval = interval
        self._resumed = watermark
        #: What was created before is no concern of this tail.
        self._begin = (watermark.moment if watermark else datetime.now(UTC)) - MARGIN
        self._positions: dict[str, str | None] = dict(watermark.positions or {}) if watermark else {}
        self._read_until: dict[str, datetime] = {}
        self._arn = watermark.stream_arn if watermark else ""
        self._shards = FollowedShards()

    @property
    def following(self) -> bool:
        """Whether no event that the table takes from now on is passed over."""
        return self._shards.all_read

    def watermark(self) -> Watermark | None:
        """How far it has read; None before any shard is being read."""
        if not self._read_until:
            return None
        return Watermark(min(self._read_until.values()), self._arn, dict(self._positions))

    async def run(self) -> None:
        """Tail the stream for ever. Raises ResourceError when the table's stream is gone or replaced."""
        description = await self._stream.describe()
        if self._resumed is None:
            await self._begin_at_the_tip(description)
        elif self._arn not in {"", description.arn} or datetime.now(UTC) - self._begin > _KEPT:
            # Another stream than the watermark's, whose last records can no longer be read; or shards that are gone
            # with their records, and whose children do not show it.
            self._lost(self._begin)
            self._positions = {}
        self._arn = description.arn
        # A shard that is listed later is younger than all of these, and read from its first record.
        old = {shard_id for shard_id in description.shards if not self._positions.get(shard_id)}

        async def listed() -> Iterable[str]:
            nonlocal description
            description = await self._stream.describe()
            return description.shards

        await self._shards.follow(listed, lambda shard_id: self._follow(description, shard_id, old=shard_id in old))

    async def _begin_at_the_tip(self, description: StreamDescription) -> None:
        """Read the open shards from their tip, and give the watermark that says so.

        A tip has no sequence number. So whoever resumes from this watermark reads these shards from their first record.
        """
        tips = [shard.shard_id for shard in description.shards.values() if shard.is_open]
        await self._begins(Watermark(datetime.now(UTC), description.arn, dict.fromkeys(tips)))
        self._positions = dict.fromkeys(tips, LATEST)

    async def _follow(self, description: StreamDescription, shard_id: str, *, old: bool) -> None:
        """Read a shard to its end. ``old``: from its first record, which may be from before this tail begins."""
        position = self._positions.get(shard_id) or TRIM_HORIZON
        reader = self._stream.reader(description, shard_id, position)
        self._positions[shard_id] = None if position in {LATEST, TRIM_HORIZON} else position
        self._read_until[shard_id] = self._begin
        last = False
        while not last:
            if self._full():
                await asyncio.sleep(self._interval)
                continue
            page = await reader.next_page()
            last = page.last
            if page.lost:
                self._lost(self._read_until[shard_id])
            self._take(shard_id, page.records, since=self._begin if old else None)
            self._shards.was_read(shard_id)
            if not page.records and not last:
                await asyncio.sleep(self._interval)
        # The shard is read to its end; its children hold what follows.
        self._read_until.pop(shard_id, None)

    def _take(self, shard_id: str, records: "Iterable[RecordTypeDef]", *, since: datetime | None) -> None:
        now, keys = datetime.now(UTC), []
        read_until = now - MARGIN
        for record in records:
            change = record["dynamodb"]
            self._positions[shard_id] = change["SequenceNumber"]
            read_until = change.get("ApproximateCreationDateTime", now)
            if record["eventName"] == "INSERT" and (since is None or read_until >= since):
                keys.append(_key_of(change))
        self._read_until[shard_id] = max(read_until, self._begin)
        self._sink(keys)


def _key_of(change: Mapping[str, Any]) -> Key:
    try:
        event = StoredEvent.from_item(change.get("NewImage", {}))
    except CorruptHistoryError:
        return change["Keys"]["aggregateId"]["S"], int(change["Keys"]["sequenceNumber"]["N"]), ""
    return event.aggregate_id, event.sequence_number, event.event_hash


class StreamTail:
    """Passes the keys of the events that Kinesis shows to ``sink``, from some time before ``since`` on."""

    def __init__(
        self,
        kinesis: "KinesisClient",
        calls: CallPool,
        stream: str,
        table: str,
        sink: Sink,
        since: datetime,
        interval: float,
    ) -> None:
        self._kinesis = kinesis
        self._calls = calls
        self._stream = stream
        self._table = table
        self._sink = sink
        self._since = since - MARGIN - _LEAD
        self._interval = interval
        self._shards = FollowedShards()

    @property
    def following(self) -> bool:
        """Whether every shard is being read."""
        return self._shards.all_read

    async def run(self) -> None:
        """Tail the stream for ever. Raises ResourceError when there is no such stream."""

        async def listed() -> Iterable[str]:
            with aws_errors(f"listing the shards of stream {self._stream}"):
                topology = await self._calls.retry_until_answered(
                    f"list the shards of {self._stream}", list_shards, self._kinesis, self._stream
                )
            return topology.shards

        await self._shards.follow(listed, self._follow)

    async def _follow(self, shard_id: str) -> None:
        lease = Lease(shard_id, AT_TIMESTAMP, start_at=self._since)
        reader = ShardReader(self._kinesis, self._calls, self._stream, lease, 10_000, at_first_start=False)
        last = False
        while not last:
            with aws_errors(f"reading shard {shard_id} of stream {self._stream}"):
                try:
                    page = await reader.next_page()
                except ClientError as error:
                    if not is_not_found(error):
                        raise
                    # The shard is gone; if the stream is too, listing its shards fails.
                    self._shards.was_read(shard_id)
                    return
            last = page.last
            self._sink([key for key in map(self._key, page.records) if key is not None])
            self._shards.was_read(shard_id)
            if not page.millis_behind_latest and not last:
                await asyncio.sleep(self._interval)

    def _key(self, record: Record) -> Key | None:
        try:
            event = decode(record.data, self._table)
        except UnusableRecordError as error:
            # The projector makes it a dead letter; here it counts as shown.
            if error.aggregate_id is None or error.sequence_number is None:
                return None
            return error.aggregate_id, error.sequence_number, ""
        return event.aggregate_id, event.sequence_number, event.event_hash


class FollowedShards:
    """Every shard that is ever listed, each followed by a task of its own."""

    def __init__(self) -> None:
        self._unread: set[str] | None = None

    @property
    def all_read(self) -> bool:
        """Whether a page has been read of each shard of the first listing that was not empty."""
        return self._unread is not None and not self._unread

    def was_read(self, shard_id: str) -> None:
        """Record that a page was read."""
        if self._unread is not None:
            self._unread.discard(shard_id)

    async def follow(
        self, listed: Callable[[], Awaitable[Iterable[str]]], follow: Callable[[str], Coroutine[Any, Any, None]]
    ) -> None:
        """Follow them for ever. The first error ends them all and is raised."""
        followed: set[str] = set()
        try:
            async with asyncio.TaskGroup() as group:
                while True:
                    found = [shard_id for shard_id in await listed() if shard_id not in followed]
                    if self._unread is None and found:
                        self._unread = set(found)
                    for shard_id in found:
                        followed.add(shard_id)
                        group.create_task(follow(shard_id), name=f"follow-{shard_id}")
                    await asyncio.sleep(_SYNC)
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from errors
