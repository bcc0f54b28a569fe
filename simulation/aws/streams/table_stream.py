"""DynamoDB Streams: what changed in a table, in order for each item and for nothing else."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final
from zlib import crc32

from simulation.aws.errors import AwsError, not_found
from simulation.aws.streams.shard_log import Shard, ShardLog
from simulation.aws.tables.table import Key, Table
from simulation.aws.tables.values import Item, item_size

Request = Mapping[str, Any]
Answer = dict[str, Any]

#: AWS, GetRecords and DescribeStream of DynamoDB Streams: records and bytes, and shards, in one answer.
MAX_GET: Final = 1000
MAX_GET_BYTES: Final = 1024 * 1024
MAX_SHARDS: Final = 100
_ITERATOR_SECONDS: Final = 900.0
_REGION: Final = "eu-west-1"


class TableStream:
    """The stream of one table. Its shards stand for partitions: an item's changes are on one."""

    def __init__(self, table: Table, shards: int, clock: Callable[[], float], label: str) -> None:
        self.table = table
        self.label = label
        self.arn = f"arn:aws:dynamodb:{_REGION}:000000000000:table/{table.name}/stream/{label}"
        self.log = ShardLog(clock, width=40, iterator_seconds=_ITERATOR_SECONDS)
        self._clock = clock
        self._made = 0
        self._open = [self._add() for _ in range(shards)]
        #: Hears of each record.
        self.listeners: list[Callable[[dict[str, Any]], None]] = []
        table.listeners.append(self._changed)

    def rotate(self, number: int) -> None:
        """Close an open shard and open its child in its place, as DynamoDB does every few hours."""
        self.log.close(self._open[number])
        self._open[number] = self._add(self._open[number].shard_id)

    @property
    def partitions(self) -> int:
        """How many shards are open."""
        return len(self._open)

    def trim(self, before: float) -> None:
        """Forget records from before a time, and closed shards without any left."""
        self.log.trim(before)

    def _add(self, *parents: str) -> Shard:
        self._made += 1
        return self.log.add(f"shardId-{self._made:020d}-{self.label[-8:]}", parents)

    def _changed(self, table: Table, key: Key, before: Item | None, after: Item | None) -> None:
        if before == after:
            return
        now = self._clock()
        number = self.log.next_number()
        shard = self._open[crc32(repr(key).encode()) % len(self._open)]
        kind = "INSERT" if before is None else "REMOVE" if after is None else "MODIFY"
        keys = {name: (after or before or {})[name] for name in table.keys}
        size = item_size(keys) + (item_size(after) if after is not None else 0)
        change: dict[str, Any] = {
            "ApproximateCreationDateTime": float(int(now)),
            "Keys": keys,
            "SequenceNumber": self.log.text(number),
            "SizeBytes": size,
            "StreamViewType": "NEW_IMAGE",
        }
        if after is not None:
            change["NewImage"] = after
        record = {
            "eventID": f"{number:x}"[-32:],
            "eventName": kind,
            "eventVersion": "1.1",
            "eventSource": "aws:dynamodb",
            "awsRegion": _REGION,
            "dynamodb": change,
        }
        shard.append(number, record, now, size)
        for listener in self.listeners:
            listener(record)


class TableStreams:
    """The operations on tables' streams."""

    #: The operations of AWS's API that it answers.
    OPERATIONS: Final = (
        "DescribeStream",
        "GetShardIterator",
        "GetRecords",
    )

    def __init__(self) -> None:
        self.streams: dict[str, TableStream] = {}

    def add(self, stream: TableStream) -> None:
        """Make a stream known."""
        self.streams[stream.arn] = stream

    def of(self, table: str) -> TableStream | None:
        """The newest stream of a table."""
        found = [stream for stream in self.streams.values() if stream.table.name == table]
        return found[-1] if found else None

    def _stream(self, arn: str) -> TableStream:
        try:
            return self.streams[arn]
        except KeyError:
            raise not_found(f"Stream: {arn} not found") from None

    def describe_stream(self, request: Request) -> Answer:
        stream = self._stream(request["StreamArn"])
        after, limit = request.get("ExclusiveStartShardId", ""), min(request.get("Limit", MAX_SHARDS), MAX_SHARDS)
        listed = sorted(shard for shard in stream.log.shards if shard > after)
        shards = []
        for shard in (stream.log.shards[each] for each in listed[:limit]):
            found: Answer = {
                "ShardId": shard.shard_id,
                "SequenceNumberRange": {"StartingSequenceNumber": stream.log.text(shard.first)},
            }
            if shard.ended is not None:
                found["SequenceNumberRange"]["EndingSequenceNumber"] = stream.log.text(shard.ended)
            if shard.parents:
                found["ParentShardId"] = shard.parents[0]
            shards.append(found)
        description: Answer = {
            "StreamArn": stream.arn,
            "StreamLabel": stream.label,
            "StreamStatus": "ENABLED",
            "StreamViewType": "NEW_IMAGE",
            "TableName": stream.table.name,
            "Shards": shards,
        }
        if len(listed) > limit:
            description["LastEvaluatedShardId"] = listed[limit - 1]
        return {"StreamDescription": description}

    def get_shard_iterator(self, request: Request) -> Answer:
        stream = self._stream(request["StreamArn"])
        number = request.get("SequenceNumber")
        shard = stream.log.shard(request["ShardId"])
        if number is not None and int(number) < shard.trimmed - 1:
            raise AwsError(
                "TrimmedDataAccessException", "The operation attempted to read past the oldest stream record"
            )
        token = stream.log.iterator(request["ShardId"], request["ShardIteratorType"], number, None)
        return {"ShardIterator": f"{stream.arn}|{token}"}

    def get_records(self, request: Request) -> Answer:
        arn, _, token = request["ShardIterator"].partition("|")
        log = self._stream(arn).log
        shard_id, at, _ = token.split("|")
        shard = log.shard(shard_id)
        # An iterator at the trim horizon follows it; one at a record that has left the stream is refused.
        if 0 < int(at) < shard.trimmed:
            raise AwsError(
                "TrimmedDataAccessException", "The operation attempted to read past the oldest stream record"
            )
        _, records, following, _ = log.read(token, min(request.get("Limit", MAX_GET), MAX_GET), MAX_GET_BYTES)
        answer: Answer = {"Records": records}
        if following is not None:
            answer["NextShardIterator"] = f"{arn}|{following}"
        return answer
