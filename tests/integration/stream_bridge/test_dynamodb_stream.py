"""The reader of a table's stream on the real endpoint."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from aws_client.call_pool import CallPool
from ledger.runtime.aws import Clients
from ledger.store.tables import Names, ensure_table, store_specs
from stream_bridge.dynamodb_stream import StreamDescription, TablePage, TableShardReader, TableStream

pytestmark = pytest.mark.integration


@pytest.fixture
async def stream(clients: Clients, names: Names) -> AsyncIterator[tuple[TableStream, StreamDescription]]:
    ensure_table(clients.dynamodb, store_specs(names)[0])
    calls = CallPool(2, "test")
    found = TableStream(clients.dynamodb, clients.dynamodbstreams, names.events, calls)
    deadline = time.monotonic() + 30
    while not (described := await found.describe()).enabled:
        assert time.monotonic() < deadline, described
        await asyncio.sleep(0.1)
    yield found, described
    calls.close()


def put(clients: Clients, names: Names, numbers: range) -> None:
    for number in numbers:
        item = {"aggregateId": {"S": "alice"}, "sequenceNumber": {"N": str(number)}}
        clients.dynamodb.put_item(TableName=names.events, Item=item)


async def read(reader: TableShardReader, count: int, limit: int = 1000) -> tuple[list[int], list[TablePage]]:
    pages: list[TablePage] = []
    deadline = time.monotonic() + 20
    while sum(len(page.records) for page in pages) < count and time.monotonic() < deadline:
        pages.append(await reader.next_page(limit))
        await asyncio.sleep(0.05)
    return [int(r["dynamodb"]["Keys"]["sequenceNumber"]["N"]) for page in pages for r in page.records], pages


async def test_one_shard_is_read_from_the_horizon_after_a_record_and_from_its_end(
    clients: Clients, names: Names, stream: tuple[TableStream, StreamDescription]
) -> None:
    table_stream, description = stream
    (shard_id,) = description.shards
    assert description.shards[shard_id].is_open
    latest = table_stream.reader(description, shard_id, "LATEST")
    assert not (await latest.next_page()).records
    put(clients, names, range(1, 8))
    numbers, pages = await read(table_stream.reader(description, shard_id, "TRIM_HORIZON"), 7, limit=3)
    assert numbers == [1, 2, 3, 4, 5, 6, 7]
    assert max(len(page.records) for page in pages) <= 3
    third = [r for page in pages for r in page.records][2]["dynamodb"]["SequenceNumber"]
    assert (await read(table_stream.reader(description, shard_id, third), 4))[0] == [4, 5, 6, 7]
    assert (await read(latest, 7))[0] == [1, 2, 3, 4, 5, 6, 7]


async def test_a_record_tells_what_happened_to_which_item(
    clients: Clients, names: Names, stream: tuple[TableStream, StreamDescription]
) -> None:
    table_stream, description = stream
    put(clients, names, range(1, 2))
    clients.dynamodb.delete_item(
        TableName=names.events, Key={"aggregateId": {"S": "alice"}, "sequenceNumber": {"N": "1"}}
    )
    (shard_id,) = description.shards
    _, pages = await read(table_stream.reader(description, shard_id, "TRIM_HORIZON"), 2)
    records = [record for page in pages for record in page.records]
    assert [record["eventName"] for record in records] == ["INSERT", "REMOVE"]
    assert records[0]["dynamodb"]["NewImage"]["aggregateId"] == {"S": "alice"}
    assert "NewImage" not in records[1]["dynamodb"]
