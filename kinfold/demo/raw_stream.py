"""The raw stream, from its oldest record on: which events it holds, on which shard and in which order.

For small streams: all of it is held in memory.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ledger.store.change_record import decode

if TYPE_CHECKING:
    from mypy_boto3_kinesis import KinesisClient


@dataclass
class StreamedAggregate:
    """An aggregate on the stream: its shards, and its sequence numbers in the order of delivery."""

    shards: set[str] = field(default_factory=set)
    numbers: list[int] = field(default_factory=list)

    @property
    def first_occurrences(self) -> list[int]:
        """The sequence numbers without their repetitions."""
        return list(dict.fromkeys(self.numbers))


def read_raw(kinesis: "KinesisClient", stream: str) -> list[tuple[str, bytes]]:
    """Shard id and data of every record, oldest first, shard by shard."""
    found: list[tuple[str, bytes]] = []
    for shard in kinesis.list_shards(StreamName=stream)["Shards"]:
        iterator = kinesis.get_shard_iterator(
            StreamName=stream, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]
        while True:
            answer = kinesis.get_records(ShardIterator=iterator, Limit=10_000)
            found += [(shard["ShardId"], record["Data"]) for record in answer["Records"]]
            if not answer["Records"] and answer["MillisBehindLatest"] == 0:
                break
            iterator = answer["NextShardIterator"]
    return found


def streamed_aggregates(kinesis: "KinesisClient", stream: str, table: str) -> dict[str, StreamedAggregate]:
    """The aggregates on the stream, by id."""
    aggregates: defaultdict[str, StreamedAggregate] = defaultdict(StreamedAggregate)
    for shard_id, data in read_raw(kinesis, stream):
        event = decode(data, table)
        aggregates[event.aggregate_id].shards.add(shard_id)
        aggregates[event.aggregate_id].numbers.append(event.sequence_number)
    return dict(aggregates)


def order_violations(aggregates: Mapping[str, StreamedAggregate], versions: Mapping[str, int]) -> list[str]:
    """What a relay must never cause, one line an aggregate: two shards, an event missing or out of order.

    ``versions``: the version of each aggregate.
    """
    found = []
    for aggregate_id, version in versions.items():
        aggregate = aggregates.get(aggregate_id, StreamedAggregate())
        wrong = [f"is on {len(aggregate.shards)} shards"] if len(aggregate.shards) > 1 else []
        if aggregate.first_occurrences != list(range(1, version + 1)):
            wrong.append(f"of version {version} shows {aggregate.first_occurrences}")
        if wrong:
            found.append(f"aggregate {aggregate_id} {' and '.join(wrong)}")
    return found
