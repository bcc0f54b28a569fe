"""The raw stream, from its oldest record on: which events it shows, on which shard, and in which order.

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
class Shown:
    """What the stream shows of one account: the shards, and the sequence numbers in the order in which they came."""

    shards: set[str] = field(default_factory=set)
    numbers: list[int] = field(default_factory=list)

    @property
    def first_occurrences(self) -> list[int]:
        """Each number once, where it came first."""
        return list(dict.fromkeys(self.numbers))


def read_raw(kinesis: "KinesisClient", stream: str) -> list[tuple[str, bytes]]:
    """Shard id and data of every record, from the oldest on, shard by shard."""
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


def shown(kinesis: "KinesisClient", stream: str, table: str) -> dict[str, Shown]:
    """What the stream shows, by account."""
    accounts: defaultdict[str, Shown] = defaultdict(Shown)
    for shard_id, data in read_raw(kinesis, stream):
        event = decode(data, table)
        accounts[event.aggregate_id].shards.add(shard_id)
        accounts[event.aggregate_id].numbers.append(event.sequence_number)
    return dict(accounts)


def faults(accounts: Mapping[str, Shown], versions: Mapping[str, int]) -> list[str]:
    """What a relay must never leave of accounts at these versions: two shards, an event missing or out of order.

    A line an account.
    """
    found = []
    for account_id, version in versions.items():
        account = accounts.get(account_id, Shown())
        wrong = [f"is on {len(account.shards)} shards"] if len(account.shards) > 1 else []
        if account.first_occurrences != list(range(1, version + 1)):
            wrong.append(f"of version {version} shows {account.first_occurrences}")
        if wrong:
            found.append(f"account {account_id} {' and '.join(wrong)}")
    return found
