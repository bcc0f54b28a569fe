"""A table that is deleted and restored: another one by its id, without stream and destination."""

from simulation.aws.streams.kinesis import Stream
from tests.unit.simulation.aws.conftest import ROWS, Memory

_REQUEST = {
    "TableName": ROWS,
    "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
    "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
}


def destinations(memory: Memory) -> list[str]:
    found = memory.call("DescribeKinesisStreamingDestination", TableName=ROWS)["KinesisDataStreamDestinations"]
    return [each["DestinationStatus"] for each in found]


def arrived(stream: Stream) -> list[str]:
    return [record["PartitionKey"] for shard in stream.log.shards.values() for record in shard.records]


def test_a_restored_table_is_another_one_and_says_nothing_of_what_it_holds(memory: Memory) -> None:
    control, stream = memory.account.control, memory.account.kinesis.create("stream", 1)
    joined = {"TableName": ROWS, "StreamArn": stream.arn}
    memory.call("EnableKinesisStreamingDestination", **joined)
    memory.put({"id": {"S": "a"}})
    memory.put({"id": {"S": "b"}})
    before = memory.call("DescribeTable", TableName=ROWS)["Table"]

    memory.call("DeleteTable", TableName=ROWS)
    assert memory.refused("GetItem", TableName=ROWS, Key={"id": {"S": "a"}}).code == "ResourceNotFoundException"
    memory.now += 1
    control.restore_table(_REQUEST, [{"id": {"S": "a"}}])
    assert (memory.get("a", ConsistentRead=True), memory.get("b", ConsistentRead=True)) == ({"id": {"S": "a"}}, None)
    after = memory.call("DescribeTable", TableName=ROWS)["Table"]
    assert after["TableId"] != before["TableId"]
    assert "LatestStreamArn" not in after
    assert destinations(memory) == []
    assert not control.has_destination(joined)

    control.enable_stream(ROWS)
    assert memory.call("DescribeTable", TableName=ROWS)["Table"]["LatestStreamArn"] != before["LatestStreamArn"]
    memory.put({"id": {"S": "c"}})
    assert arrived(stream) == ["a", "b"], "nothing joins it to the stream"
    memory.call("EnableKinesisStreamingDestination", **joined)
    memory.put({"id": {"S": "d"}})
    assert arrived(stream) == ["a", "b", "d"]
