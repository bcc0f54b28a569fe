"""The streams in memory are held to the endpoint's: the same records, in the same order, by every iterator."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

import pytest

from ledger.runtime.aws import Clients
from ledger.store.tables import Names
from tests.integration.simulation.conftest import SLOW, Kind, MakeTable
from tests.support.aws.stream import Stream
from tests.support.aws.two_endpoints import TwoEndpoints, comparable, outcome
from tests.support.expressions import attributes
from tests.support.waiting import until

FIRST = "shardId-000000000000"
EXACT: frozenset[Kind] = frozenset()
EMBEDDED: frozenset[Kind] = frozenset({"embedded"})
LOCALSTACK: frozenset[Kind] = frozenset({"localstack"})

pytestmark = pytest.mark.integration


def test_changes_of_a_table(two: TwoEndpoints, make_table: MakeTable) -> None:
    random = Random("changes")
    table = make_table("rows", ("id", "S"), stream=True)
    for clients in (two.theirs, two.ours):
        until(lambda clients=clients: _status(clients, table), lambda status: status == "ENABLED", within=SLOW)  # type: ignore[misc]
    for _ in range(60):
        key = {"id": {"S": f"id-{random.randrange(4)}"}}
        if random.random() < 0.3:
            two.dynamodb("delete_item", TableName=table, Key=key)
        else:
            two.dynamodb("put_item", TableName=table, Item=key | attributes(random))
    same = {"id": {"S": "same"}, "number": {"N": "1.0"}, "tags": {"SS": ["b", "a"]}}
    two.dynamodb("put_item", TableName=table, Item=same)
    ours = _changes(two.ours, table)
    # A change takes a while to the endpoint's stream: only once all are there, every iterator can be held to them.
    count = sum(map(len, ours.values()))
    until(lambda: sum(1 for _ in _records(two.theirs, table)), lambda found: found >= count, within=SLOW)
    theirs = _changes(two.theirs, table)
    assert {item: [comparable(each) for each in changes] for item, changes in theirs.items()} == {
        item: [comparable(each) for each in changes] for item, changes in ours.items()
    }


def _status(clients: Clients, table: str) -> str:
    arn = clients.dynamodb.describe_table(TableName=table)["Table"]["LatestStreamArn"]
    return clients.dynamodbstreams.describe_stream(StreamArn=arn)["StreamDescription"]["StreamStatus"]


def _changes(clients: Clients, table: str) -> dict[str, list[Any]]:
    """The records of each item, in order; every iterator leads to what it says."""
    found: dict[str, list[Any]] = defaultdict(list)
    for place, records in _shards(clients, table):
        for record in records:
            change = record["dynamodb"]
            kept = {name: change[name] for name in ("Keys", "NewImage", "StreamViewType") if name in change}
            found[change["Keys"]["id"]["S"]].append({"eventName": record["eventName"], **kept})
        _check_iterators(clients.dynamodbstreams, place, records)
    return found


def _records(clients: Clients, table: str) -> Iterator[Any]:
    for _, records in _shards(clients, table):
        yield from records


def _shards(clients: Clients, table: str) -> Iterator[tuple[dict[str, str], list[Any]]]:
    """Where each shard of the table's stream is, and its records."""
    streams = clients.dynamodbstreams
    arn = clients.dynamodb.describe_table(TableName=table)["Table"]["LatestStreamArn"]
    for shard in streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]:
        place: Any = {"StreamArn": arn, "ShardId": shard["ShardId"]}
        first = streams.get_shard_iterator(**place, ShardIteratorType="TRIM_HORIZON")["ShardIterator"]
        yield place, list(_read(streams.get_records, first, Limit=7))


def _check_iterators(streams: Any, place: dict[str, str], records: list[Any]) -> None:
    numbers = [record["dynamodb"]["SequenceNumber"] for record in records]
    assert numbers == sorted(numbers, key=int)
    for number in numbers[:: max(1, len(numbers) // 3)]:
        for kind, skipped in (("AT_SEQUENCE_NUMBER", 0), ("AFTER_SEQUENCE_NUMBER", 1)):
            found = streams.get_shard_iterator(**place, ShardIteratorType=kind, SequenceNumber=number)
            read = [r["dynamodb"]["SequenceNumber"] for r in _read(streams.get_records, found["ShardIterator"])]
            assert read == numbers[numbers.index(number) + skipped :]
    latest = streams.get_shard_iterator(**place, ShardIteratorType="LATEST")["ShardIterator"]
    assert not list(_read(streams.get_records, latest))


def _read(get_records: Callable[..., Any], iterator: str | None, **options: Any) -> Iterator[Any]:
    """All records from an iterator on."""
    while iterator is not None:
        page = get_records(ShardIterator=iterator, **options)
        assert len(page["Records"]) <= options.get("Limit", 10_000)
        yield from page["Records"]
        if not page["Records"]:
            return
        iterator = page.get("NextShardIterator")


class Shards:
    """One endpoint's stream, its shards by rank and its records by number."""

    def __init__(self, clients: Clients, name: str, *, ranges: bool) -> None:
        """``ranges``: whether to show the hash ranges. LocalStack cuts them one hash off."""
        self._ranges = ranges
        self.kinesis = clients.kinesis
        self.name = name
        self._stream = Stream(clients.kinesis, name)
        self._stream.create(2)

    def listed(self) -> list[dict[str, Any]]:
        """The shards, oldest first: their hash range, their parents by rank, whether they are closed."""
        found: list[Any] = list(self.kinesis.list_shards(StreamName=self.name)["Shards"])
        shards = sorted(found, key=lambda shard: str(shard["ShardId"]))
        rank = {shard["ShardId"]: number for number, shard in enumerate(shards)}
        return [
            {
                "range": shard["HashKeyRange"] if self._ranges else None,
                "parents": [rank.get(shard.get(name, "")) for name in ("ParentShardId", "AdjacentParentShardId")],
                "closed": "EndingSequenceNumber" in shard["SequenceNumberRange"],
            }
            for shard in shards
        ]

    def ids(self) -> list[str]:
        return sorted(self._stream.shard_ids())

    def put(self, *records: dict[str, Any]) -> Any:
        """Put records; gives the rank of the shard of each, or the error."""
        answer = outcome(self.kinesis.put_records, {"StreamName": self.name, "Records": list(records)})
        if "Error" in answer:
            return answer["Error"]
        return answer["FailedRecordCount"], [self.ids().index(each["ShardId"]) for each in answer["Records"]]

    def reshard(self, change: Callable[[Stream], None]) -> None:
        change(self._stream)
        self._stream.wait_active()

    def read(self) -> list[Any]:
        """What each shard holds, and from each third record on; and whether it ends."""
        return [self._read(shard_id) for shard_id in self.ids()]

    def _read(self, shard_id: str) -> Any:
        records, ended = self._from(shard_id, ShardIteratorType="TRIM_HORIZON")
        found: list[Any] = [[(each["PartitionKey"], each["Data"]) for each in records], ended]
        numbers = [each["SequenceNumber"] for each in records]
        assert numbers == sorted(numbers, key=int)
        for number in numbers[::3]:
            for kind in ("AT_SEQUENCE_NUMBER", "AFTER_SEQUENCE_NUMBER"):
                later, _ = self._from(shard_id, ShardIteratorType=kind, StartingSequenceNumber=number)
                found.append([each["Data"] for each in later])
        found.append(len(self._from(shard_id, ShardIteratorType="AT_TIMESTAMP", Timestamp=0)[0]))
        return [*found, len(self._from(shard_id, ShardIteratorType="LATEST")[0])]

    def _from(self, shard_id: str, **position: Any) -> tuple[list[Any], bool]:
        iterator: str | None = self.kinesis.get_shard_iterator(StreamName=self.name, ShardId=shard_id, **position)[
            "ShardIterator"
        ]
        records: list[Any] = []
        while iterator is not None:
            page = self.kinesis.get_records(ShardIterator=iterator, Limit=4)
            records += page["Records"]
            iterator = page.get("NextShardIterator")
            if not page["Records"] and page["MillisBehindLatest"] == 0:
                break
        return records, iterator is None


def test_a_kinesis_stream(two: TwoEndpoints, names: Names, keeps_parents: bool, kind: Kind) -> None:
    random = Random("kinesis")
    both = [Shards(clients, names.stream, ranges=kind != "localstack") for clients in (two.theirs, two.ours)]

    def same(call: Callable[[Shards], Any]) -> None:
        theirs, ours = map(call, both)
        assert theirs == ours

    def record(number: int) -> dict[str, Any]:
        hashed = {"ExplicitHashKey": str(random.randrange(2**128))} if random.random() < 0.2 else {}
        return {"Data": f"{number}".encode(), "PartitionKey": f"key-{random.randrange(30)}", **hashed}

    def put(count: int) -> None:
        records = [record(number) for number in range(count)]
        same(lambda shards: shards.put(*records))

    same(Shards.listed)
    put(30)
    same(Shards.read)
    if not keeps_parents:
        return  # it forgets a shard once it is closed; the memory keeps it for its records, as AWS does
    same(lambda shards: shards.reshard(lambda stream: stream.split(shards.ids()[0])))
    same(Shards.listed)
    put(30)
    same(Shards.read)
    same(lambda shards: shards.reshard(lambda stream: stream.merge(*shards.ids()[2:4])))
    same(Shards.listed)
    put(30)
    same(Shards.read)


#: Calls that are refused, and the endpoints that deviate from AWS's documentation there.
REFUSED: tuple[tuple[str, dict[str, Any], frozenset[Kind]], ...] = (
    ("put_records", {"Records": [{"Data": b"", "PartitionKey": "a"}] * 501}, LOCALSTACK),
    ("put_records", {"Records": [{"Data": b"x" * (10 * 1024 * 1024 + 1), "PartitionKey": "a"}]}, LOCALSTACK),
    ("get_shard_iterator", {"ShardId": "shardId-000000000009", "ShardIteratorType": "LATEST"}, EXACT),
    ("get_shard_iterator", {"ShardId": FIRST, "ShardIteratorType": "AFTER_SEQUENCE_NUMBER"}, EMBEDDED),
    ("get_shard_iterator", {"ShardId": FIRST, "ShardIteratorType": "AT_TIMESTAMP"}, EMBEDDED),
    # LocalStack refuses a time to come once the shard has a record.
    (
        "get_shard_iterator",
        {"ShardId": FIRST, "ShardIteratorType": "AT_TIMESTAMP", "Timestamp": 4_000_000_000},
        EMBEDDED | LOCALSTACK,
    ),
    ("split_shard", {"ShardToSplit": FIRST, "NewStartingHashKey": "0"}, EMBEDDED | LOCALSTACK),
    ("split_shard", {"ShardToSplit": "shardId-000000000009", "NewStartingHashKey": "1"}, EXACT),
    ("merge_shards", {"ShardToMerge": FIRST, "AdjacentShardToMerge": "shardId-000000000002"}, EMBEDDED),
    ("create_stream", {"ShardCount": 3}, EXACT),
)


@pytest.mark.parametrize(("operation", "request_", "deviating"), REFUSED, ids=range(len(REFUSED)))
def test_refusals_of_kinesis(
    two: TwoEndpoints,
    names: Names,
    kind: Kind,
    operation: str,
    request_: dict[str, Any],
    deviating: frozenset[Kind],
) -> None:
    for clients in (two.theirs, two.ours):
        Stream(clients.kinesis, names.stream).create(3)
    streams = [names.stream] + [f"{names.stream}-no"] * (operation != "create_stream")
    for stream in streams if kind not in deviating else ():
        theirs, ours = (
            outcome(getattr(clients.kinesis, operation), {"StreamName": stream, **request_})
            for clients in (two.theirs, two.ours)
        )
        assert "Error" in ours
        two.same(theirs, ours, operation)
