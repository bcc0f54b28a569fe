"""The events of a table: those that its Kinesis stream shows of late, and those that it takes from now on."""

import asyncio
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from faust_kinesis.leases.table import AT_TIMESTAMP, LATEST, TRIM_HORIZON, Lease
from faust_kinesis.leases.topology import list_shards
from faust_kinesis.polling.shard_reader import ShardReader
from ledger.runtime.aws import Clients, aws_errors
from ledger.store.change_record import decode
from ledger.store.errors import CorruptHistoryError, UnusableRecordError
from ledger.store.stored_event import StoredEvent
from ledger.store.tables import Names
from stream_bridge.dynamodb_stream import TableStream
from stream_bridge.watch.followers import FollowedShards

if TYPE_CHECKING:
    from mypy_boto3_dynamodbstreams.type_defs import RecordTypeDef

    from aws_client.call_pool import CallPool

#: Seconds between two reads of a shard that had nothing new; DynamoDB allows two readers a shard.
_PAUSE: Final = 0.5
_MOST_RECORDS: Final = 10_000


async def lately(clients: Clients, calls: "CallPool", names: Names, since: datetime) -> list[StoredEvent]:
    """The events that arrived on the Kinesis stream since then, each once, by their time.

    What the stream never got is not among them. Raises ResourceError when there is no stream.
    """
    with aws_errors(f"reading stream {names.stream}"):
        topology = await calls.retry_until_answered("list the shards", list_shards, clients.kinesis, names.stream)
        pages = await asyncio.gather(
            *(_shard_since(clients, calls, names, shard_id, since) for shard_id in topology.shards)
        )
    found = {(event.aggregate_id, event.sequence_number): event for page in pages for event in page}
    return sorted(found.values(), key=lambda event: (event.occurred_at, event.aggregate_id, event.sequence_number))


async def _shard_since(
    clients: Clients, calls: "CallPool", names: Names, shard_id: str, since: datetime
) -> list[StoredEvent]:
    lease = Lease(shard_id, AT_TIMESTAMP, start_at=since)
    reader = ShardReader(clients.kinesis, calls, names.stream, lease, _MOST_RECORDS, at_first_start=False)
    events: list[StoredEvent] = []
    while True:
        page = await reader.next_page()
        for record in page.records:
            try:
                events.append(decode(record.data, names.events))
            except UnusableRecordError:
                continue  # the projector makes a dead letter of it
        if page.last or not page.millis_behind_latest:
            return events


class EventFeed:
    """Passes what the table takes from now on to ``sink``: an event, or what was done past the event store.

    It comes in the order in which a shard of the table's stream shows it, a second or so after it was stored.
    """

    def __init__(self, stream: TableStream, sink: Callable[[StoredEvent | str], None]) -> None:
        self._stream = stream
        self._sink = sink
        self._shards = FollowedShards()

    async def run(self) -> None:
        """Follow the stream for ever. Raises ResourceError when the table has none, or it is replaced."""
        description = await self._stream.describe()
        old = frozenset(description.shards)
        tips = [shard.shard_id for shard in description.shards.values() if shard.is_open]

        async def listed() -> Iterable[str]:
            nonlocal description
            description = await self._stream.describe()
            # What has ended before is over; what comes later is read from its first record.
            return [shard_id for shard_id in description.shards if shard_id not in old or shard_id in tips]

        async def follow(shard_id: str) -> None:
            reader = self._stream.reader(description, shard_id, LATEST if shard_id in tips else TRIM_HORIZON)
            last = False
            while not last:
                page = await reader.next_page()
                last = page.last
                for record in page.records:
                    self._sink(_told(record))
                if not page.records and not last:
                    await asyncio.sleep(_PAUSE)

        await self._shards.follow(listed, follow)


def _told(record: "RecordTypeDef") -> StoredEvent | str:
    change: dict[str, Any] = dict(record["dynamodb"])
    if record["eventName"] == "INSERT":
        try:
            return StoredEvent.from_item(change.get("NewImage", {}))
        except CorruptHistoryError as error:
            return f"no event was inserted: {error}"
    keys = " ".join(str(value) for each in change.get("Keys", {}).values() for value in each.values())
    return f"an item was changed past the event store ({record['eventName']}): {keys}"
