"""Shards of records: trimmed, expired, closed, split, merged."""

from typing import Any

import pytest

from simulation.aws.streams.kinesis import Stream
from simulation.aws.streams.shard_log import ShardLog
from simulation.aws.streams.table_stream import TableStream
from tests.unit.simulation.aws.conftest import ROWS, Memory

STREAM = "stream"


@pytest.fixture
def stream(memory: Memory) -> Stream:
    return memory.account.kinesis.create(STREAM, 1)


@pytest.fixture
def changes(memory: Memory) -> TableStream:
    found = memory.account.streams.of(ROWS)
    assert found is not None
    return found


def read(memory: Memory, shard: str, kind: str = "TRIM_HORIZON", **position: Any) -> tuple[list[str], str | None]:
    """The partition keys of a page of a shard, and the next iterator."""
    asked = {"StreamName": STREAM, "ShardId": shard, "ShardIteratorType": kind, **position}
    page = memory.call(
        "GetRecords", "kinesis", ShardIterator=memory.call("GetShardIterator", "kinesis", **asked)["ShardIterator"]
    )
    return [record["PartitionKey"] for record in page["Records"]], page.get("NextShardIterator")


def test_every_iterator_begins_where_it_says(memory: Memory, stream: Stream) -> None:
    (shard,) = stream.open_shards()
    numbers = []
    for key in "abc":
        memory.now += 1
        numbers.append(stream.put(key, b"")[1])
    first = shard.shard_id
    assert read(memory, first)[0] == ["a", "b", "c"]
    assert read(memory, first, "AT_SEQUENCE_NUMBER", StartingSequenceNumber=numbers[1])[0] == ["b", "c"]
    assert read(memory, first, "AFTER_SEQUENCE_NUMBER", StartingSequenceNumber=numbers[1])[0] == ["c"]
    assert read(memory, first, "AT_TIMESTAMP", Timestamp=memory.now - 0.5)[0] == ["c"]
    records, following = read(memory, first, "LATEST")
    stream.put("d", b"")
    assert records == []
    page = memory.call("GetRecords", "kinesis", ShardIterator=following)
    assert [record["PartitionKey"] for record in page["Records"]] == ["d"]


@pytest.mark.parametrize(
    "position",
    [
        {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "StartingSequenceNumber": "1"},
        {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "StartingSequenceNumber": "9" * 60},
        {"ShardIteratorType": "AT_TIMESTAMP", "Timestamp": 2_000_000.0},
        {"ShardIteratorType": "AT_TIMESTAMP"},
    ],
)
def test_a_position_that_no_shard_has(memory: Memory, stream: Stream, position: dict[str, Any]) -> None:
    (shard,) = stream.open_shards()
    asked = {"StreamName": STREAM, "ShardId": shard.shard_id, **position}
    assert memory.refused("GetShardIterator", "kinesis", **asked).code == "InvalidArgumentException"


def test_trimmed_records_are_skipped_by_kinesis(memory: Memory, stream: Stream) -> None:
    (shard,) = stream.open_shards()
    numbers = []
    for key in "abc":
        memory.now += 10
        numbers.append(stream.put(key, b"")[1])
    assert stream.trim(memory.now - 5) == 2
    assert read(memory, shard.shard_id, "AFTER_SEQUENCE_NUMBER", StartingSequenceNumber=numbers[0])[0] == ["c"]


def test_a_closed_shard_ends_names_its_children_and_is_gone_once_it_is_empty(memory: Memory, stream: Stream) -> None:
    (shard,) = stream.open_shards()
    stream.put("a", b"")
    stream.split(shard, 2**127)
    children = stream.open_shards()
    assert [(child.low, child.high) for child in children] == [(0, 2**127 - 1), (2**127, 2**128 - 1)]
    assert read(memory, shard.shard_id) == (["a"], None)
    merged = stream.merge
    merged(*children)
    (grandchild,) = stream.open_shards()
    assert grandchild.parents == tuple(child.shard_id for child in children)
    listed = memory.call("ListShards", "kinesis", StreamName=STREAM)["Shards"]
    assert [each.get("AdjacentParentShardId") for each in listed] == [None, None, None, children[1].shard_id]
    memory.now += 10
    stream.trim(memory.now)
    assert list(stream.log.shards) == [grandchild.shard_id]
    asked = {"StreamName": STREAM, "ShardId": shard.shard_id, "ShardIteratorType": "LATEST"}
    assert memory.refused("GetShardIterator", "kinesis", **asked).code == "ResourceNotFoundException"


def test_shards_are_listed_in_pages(memory: Memory) -> None:
    memory.account.kinesis.create("wide", 5)
    page = memory.call("ListShards", "kinesis", StreamName="wide", MaxResults=2)
    found = page["Shards"]
    while "NextToken" in page:
        page = memory.call("ListShards", "kinesis", NextToken=page["NextToken"], MaxResults=2)
        found += page["Shards"]
    assert [shard["ShardId"] for shard in found] == [f"shardId-{number:012d}" for number in range(5)]


def test_an_iterator_expires_after_five_minutes(memory: Memory, stream: Stream) -> None:
    (shard,) = stream.open_shards()
    _, iterator = read(memory, shard.shard_id)
    memory.now += 299
    page = memory.call("GetRecords", "kinesis", ShardIterator=iterator)
    memory.now += 301
    refusal = memory.refused("GetRecords", "kinesis", ShardIterator=page["NextShardIterator"])
    assert refusal.code == "ExpiredIteratorException"


def test_a_page_ends_at_its_bytes() -> None:
    log = ShardLog(lambda: 0.0, width=10)
    shard = log.add("s")
    for size in (4, 4, 4, 100):
        shard.append(log.next_number(), {"size": size}, 0.0, size)
    iterator, sizes = log.iterator("s", "TRIM_HORIZON", None, None), []
    for _ in range(3):
        _, records, following, left = log.read(iterator, 10, 9)
        sizes.append(([record["size"] for record in records], left))
        iterator = str(following)
    assert sizes == [([4, 4], 2), ([4], 1), ([100], 0)]


def put(memory: Memory, *keys: str) -> None:
    for key in keys:
        memory.now += 10
        memory.put({"id": {"S": key}})


def changed(memory: Memory, changes: TableStream, shard: str, **position: Any) -> list[str]:
    asked = {"StreamArn": changes.arn, "ShardId": shard, "ShardIteratorType": "TRIM_HORIZON", **position}
    iterator = memory.call("GetShardIterator", "dynamodbstreams", **asked)["ShardIterator"]
    records = memory.call("GetRecords", "dynamodbstreams", ShardIterator=iterator)["Records"]
    return [record["dynamodb"]["Keys"]["id"]["S"] for record in records]


def test_a_change_is_a_record_and_what_changes_nothing_is_none(memory: Memory, changes: TableStream) -> None:
    memory.put({"id": {"S": "a"}, "n": {"N": "1"}, "s": {"SS": ["a", "b"]}})
    memory.put({"id": {"S": "a"}, "n": {"N": "1.0"}, "s": {"SS": ["b", "a"]}})
    memory.call("DeleteItem", TableName=ROWS, Key={"id": {"S": "a"}})
    memory.call("DeleteItem", TableName=ROWS, Key={"id": {"S": "a"}})
    (shard,) = changes.log.shards.values()
    assert [record["eventName"] for record in shard.records] == ["INSERT", "REMOVE"]


def test_a_trimmed_position_of_a_table_stream_is_refused(memory: Memory, changes: TableStream) -> None:
    put(memory, "a", "b", "c")
    (shard,) = changes.log.shards.values()
    numbers = [record["dynamodb"]["SequenceNumber"] for record in shard.records]
    asked = {"StreamArn": changes.arn, "ShardId": shard.shard_id, "ShardIteratorType": "AFTER_SEQUENCE_NUMBER"}
    early = memory.call("GetShardIterator", "dynamodbstreams", **asked, SequenceNumber=numbers[0])["ShardIterator"]
    changes.trim(memory.now - 5)
    assert changed(memory, changes, shard.shard_id) == ["c"]
    for operation, request in (
        ("GetRecords", {"ShardIterator": early}),
        ("GetShardIterator", {**asked, "SequenceNumber": numbers[0]}),
    ):
        assert memory.refused(operation, "dynamodbstreams", **request).code == "TrimmedDataAccessException"


def test_a_rotated_shard_ends_and_its_child_goes_on(memory: Memory, changes: TableStream) -> None:
    put(memory, "a")
    (parent,) = changes.log.shards
    changes.rotate(0)
    put(memory, "b")
    described = memory.call("DescribeStream", "dynamodbstreams", StreamArn=changes.arn)["StreamDescription"]["Shards"]
    child = described[1]
    assert child["ParentShardId"] == parent
    assert "EndingSequenceNumber" in described[0]["SequenceNumberRange"]
    assert [changed(memory, changes, shard["ShardId"]) for shard in described] == [["a"], ["b"]]
