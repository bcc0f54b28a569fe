"""The stream under test, from a producer's and an operator's side."""

from typing import TYPE_CHECKING, Any

from tests.support.waiting import until

if TYPE_CHECKING:
    from mypy_boto3_kinesis import KinesisClient


class Stream:
    """A stream by its name, which may not exist yet."""

    def __init__(self, kinesis: "KinesisClient", name: str) -> None:
        self.kinesis = kinesis
        self.name = name

    def create(self, shards: int) -> None:
        self.kinesis.create_stream(StreamName=self.name, ShardCount=shards)
        self.wait_active()

    def wait_active(self) -> None:
        def status() -> str:
            summary = self.kinesis.describe_stream_summary(StreamName=self.name)["StreamDescriptionSummary"]
            return summary["StreamStatus"]

        until(status, lambda seen: seen == "ACTIVE")

    def put(self, *data: str, key: str | None = None) -> None:
        """Put a record for each text, in order; its key is the text itself unless given."""
        for text in data:
            self.kinesis.put_record(StreamName=self.name, Data=text.encode(), PartitionKey=key or text)

    def put_many(self, count: int) -> list[str]:
        texts = [f"{number:06d}" for number in range(count)]
        for start in range(0, count, 500):
            records: Any = [{"Data": t.encode(), "PartitionKey": t} for t in texts[start : start + 500]]
            assert self.kinesis.put_records(StreamName=self.name, Records=records)["FailedRecordCount"] == 0
        return texts

    def shard_ids(self) -> list[str]:
        return [shard["ShardId"] for shard in self.kinesis.list_shards(StreamName=self.name)["Shards"]]

    def split(self, shard_id: str) -> None:
        shards = self.kinesis.list_shards(StreamName=self.name)["Shards"]
        keys = next(shard["HashKeyRange"] for shard in shards if shard["ShardId"] == shard_id)
        middle = (int(keys["StartingHashKey"]) + int(keys["EndingHashKey"])) // 2
        self.kinesis.split_shard(StreamName=self.name, ShardToSplit=shard_id, NewStartingHashKey=str(middle))
        self.wait_active()

    def merge(self, shard_id: str, adjacent: str) -> None:
        self.kinesis.merge_shards(StreamName=self.name, ShardToMerge=shard_id, AdjacentShardToMerge=adjacent)
        self.wait_active()
