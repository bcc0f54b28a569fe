"""Kinesis Data Streams: shards by hash range, partial failures, splits and merges, trimming."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any, Final

from simulation.aws.errors import AwsError, not_found, validation
from simulation.aws.streams.shard_log import Shard, ShardLog

Request = Mapping[str, Any]
Answer = dict[str, Any]

#: AWS, "Quotas and limits": records and bytes in a PutRecords, bytes of one record, records and bytes in a
#: GetRecords, shards in a ListShards.
MAX_PUT: Final = 500
MAX_PUT_BYTES: Final = 10 * 1024 * 1024
MAX_RECORD_BYTES: Final = 10 * 1024 * 1024
MAX_GET: Final = 10_000
MAX_SHARDS: Final = 1000
MAX_GET_BYTES: Final = 10 * 1024 * 1024
_MAX_HASH: Final = 2**128 - 1


class Stream:
    """One stream."""

    def __init__(self, name: str, shards: int, clock: Callable[[], float]) -> None:
        self.name = name
        self.arn = f"arn:aws:kinesis:eu-west-1:000000000000:stream/{name}"
        self.log = ShardLog(clock, width=56)
        self._clock = clock
        self._made = 0
        #: Hears of each record that reaches the stream: the shard, the partition key, the data.
        self.listeners: list[Callable[[Shard, str, bytes], None]] = []
        edges = [(_MAX_HASH + 1) * number // shards for number in range(shards + 1)]
        for low, high in pairwise(edges):
            self._open(low, high - 1)

    def open_shards(self) -> list[Shard]:
        """The shards that take records."""
        return [shard for shard in self.log.shards.values() if shard.ended is None]

    def put(self, partition_key: str, data: bytes, place: int | None = None) -> tuple[Shard, str]:
        """Append a record; returns its shard and its sequence number. ``place``: its hash, unless its key decides."""
        if place is None:
            place = int.from_bytes(hashlib.md5(partition_key.encode()).digest(), "big")  # noqa: S324 - Kinesis' own hash
        shard = next(each for each in self.open_shards() if each.low <= place <= each.high)
        number, now = self.log.next_number(), self._clock()
        record = {
            "SequenceNumber": self.log.text(number),
            "ApproximateArrivalTimestamp": now,
            "Data": base64.b64encode(data).decode(),
            "PartitionKey": partition_key,
        }
        shard.append(number, record, now, len(data) + len(partition_key.encode()))
        for listener in self.listeners:
            listener(shard, partition_key, data)
        return shard, self.log.text(number)

    def split(self, shard: Shard, at: int) -> None:
        """Split a shard in two at a hash."""
        self.log.close(shard)
        self._open(shard.low, at - 1, shard.shard_id)
        self._open(at, shard.high, shard.shard_id)

    def merge(self, shard: Shard, other: Shard) -> None:
        """Merge two adjacent shards."""
        self.log.close(shard)
        self.log.close(other)
        self._open(min(shard.low, other.low), max(shard.high, other.high), shard.shard_id, other.shard_id)

    def trim(self, before: float) -> int:
        """Forget records that arrived before a time, and closed shards that have none left. Returns how many."""
        return self.log.trim(before)

    def _open(self, low: int, high: int, *parents: str) -> None:
        self.log.add(f"shardId-{self._made:012d}", parents, low, high)
        self._made += 1


class Kinesis:
    """The operations on streams. What takes AWS seconds to minutes takes no time here."""

    #: The operations of AWS's API that it answers.
    OPERATIONS: Final = (
        "CreateStream",
        "DeleteStream",
        "DescribeStreamSummary",
        "ListShards",
        "SplitShard",
        "MergeShards",
        "PutRecord",
        "PutRecords",
        "GetShardIterator",
        "GetRecords",
    )

    def __init__(self, *, clock: Callable[[], float], max_get: int = MAX_GET) -> None:
        """``max_get``: records that one GetRecords gives at most."""
        self.streams: dict[str, Stream] = {}
        self._clock = clock
        self._max_get = max_get

    def create(self, name: str, shards: int) -> Stream:
        """Make a stream. Raises ResourceInUseException."""
        if name in self.streams:
            raise AwsError("ResourceInUseException", f"Stream {name} already exists")
        self.streams[name] = Stream(name, shards, self._clock)
        return self.streams[name]

    def stream(self, request: Request) -> Stream:
        """The stream of a request. Raises ResourceNotFoundException."""
        name = request.get("StreamName") or str(request.get("StreamARN", "")).rpartition("/")[2]
        try:
            return self.streams[name]
        except KeyError:
            raise not_found(f"Stream {name}") from None

    def create_stream(self, request: Request) -> Answer:
        self.create(request["StreamName"], request.get("ShardCount", 4))
        return {}

    def delete_stream(self, request: Request) -> Answer:
        del self.streams[self.stream(request).name]
        return {}

    def describe_stream_summary(self, request: Request) -> Answer:
        stream = self.stream(request)
        return {
            "StreamDescriptionSummary": {
                "StreamName": stream.name,
                "StreamARN": stream.arn,
                "StreamStatus": "ACTIVE",
                "StreamModeDetails": {"StreamMode": "PROVISIONED"},
                "RetentionPeriodHours": 24,
                "StreamCreationTimestamp": 0.0,
                "EnhancedMonitoring": [],
                "EncryptionType": "NONE",
                "OpenShardCount": len(stream.open_shards()),
                "ConsumerCount": 0,
            }
        }

    def list_shards(self, request: Request) -> Answer:
        """Every shard that still holds records; ``NextToken`` names the stream and the last shard seen."""
        name, _, after = request.get("NextToken", "").partition("|")
        stream = self.stream({"StreamName": name} if name else request)
        after = after or request.get("ExclusiveStartShardId", "")
        limit = request.get("MaxResults", MAX_SHARDS)
        shards = sorted(shard for shard in stream.log.shards if shard > after)
        answer: Answer = {"Shards": [_described(stream, stream.log.shards[each]) for each in shards[:limit]]}
        if len(shards) > limit:
            answer["NextToken"] = f"{stream.name}|{shards[limit - 1]}"
        return answer

    def split_shard(self, request: Request) -> Answer:
        stream = self.stream(request)
        shard = _open_shard(stream, request["ShardToSplit"])
        at = int(request["NewStartingHashKey"])
        if not shard.low < at <= shard.high:
            raise _invalid(f"NewStartingHashKey {at} is not in the shard, or it is its first")
        stream.split(shard, at)
        return {}

    def merge_shards(self, request: Request) -> Answer:
        stream = self.stream(request)
        shard = _open_shard(stream, request["ShardToMerge"])
        other = _open_shard(stream, request["AdjacentShardToMerge"])
        if shard.high + 1 != other.low and other.high + 1 != shard.low:
            raise _invalid(f"{shard.shard_id} and {other.shard_id} are not adjacent")
        stream.merge(shard, other)
        return {}

    def put_record(self, request: Request) -> Answer:
        return {**_put(self.stream(request), request, _data(request)), "EncryptionType": "NONE"}

    def put_records(self, request: Request) -> Answer:
        stream, records = self.stream(request), request["Records"]
        if not 0 < len(records) <= MAX_PUT:
            raise validation(f"PutRecords takes 1 to {MAX_PUT} records")
        data = list(map(_data, records))
        if sum(map(len, data)) + sum(len(each["PartitionKey"]) for each in records) > MAX_PUT_BYTES:
            raise _invalid("Records size exceeds 10 MB limit")
        answers = [_put(stream, record, each) for record, each in zip(records, data, strict=True)]
        return {"FailedRecordCount": 0, "Records": answers, "EncryptionType": "NONE"}

    def get_shard_iterator(self, request: Request) -> Answer:
        stream = self.stream(request)
        number, moment = request.get("StartingSequenceNumber"), request.get("Timestamp")
        if request["ShardIteratorType"] == "AT_TIMESTAMP" and (moment is None or moment > self._clock()):
            raise _invalid("The timestamp is missing, or is in the future")
        token = stream.log.iterator(request["ShardId"], request["ShardIteratorType"], number, moment)
        return {"ShardIterator": f"{stream.name}|{token}"}

    def get_records(self, request: Request) -> Answer:
        name, _, token = request["ShardIterator"].partition("|")
        if token.count("|") != 2:
            raise _invalid("Invalid ShardIterator")
        stream = self.stream({"StreamName": name})
        limit = request.get("Limit", MAX_GET)
        if not 0 < limit <= MAX_GET:
            raise validation(f"Limit: 1 to {MAX_GET} records")
        shard, records, following, left = stream.log.read(token, min(limit, self._max_get), MAX_GET_BYTES)
        behind = 0.0
        if left:
            behind = max(1.0, (self._clock() - shard.times[-left]) * 1000)
        answer: Answer = {"Records": records, "MillisBehindLatest": int(behind)}
        if following is not None:
            answer["NextShardIterator"] = f"{name}|{following}"
        else:
            children = [each for each in stream.log.shards.values() if shard.shard_id in each.parents]
            answer["ChildShards"] = [
                {"ShardId": each.shard_id, "ParentShards": list(each.parents), "HashKeyRange": _hash_range(each)}
                for each in children
            ]
        return answer


def _invalid(message: str) -> AwsError:
    return AwsError("InvalidArgumentException", message)


def _open_shard(stream: Stream, shard_id: str) -> Shard:
    shard = stream.log.shard(shard_id)
    if shard.ended is not None:
        raise _invalid(f"{shard_id} is closed")
    return shard


def _data(record: Mapping[str, Any]) -> bytes:
    data = base64.b64decode(record["Data"])
    if len(data) + len(record["PartitionKey"]) > MAX_RECORD_BYTES:
        raise validation(f"A record has at most {MAX_RECORD_BYTES} bytes")
    return data


def _put(stream: Stream, record: Mapping[str, Any], data: bytes) -> Answer:
    place = record.get("ExplicitHashKey")
    shard, number = stream.put(record["PartitionKey"], data, int(place) if place is not None else None)
    return {"SequenceNumber": number, "ShardId": shard.shard_id}


def _hash_range(shard: Shard) -> Answer:
    return {"StartingHashKey": str(shard.low), "EndingHashKey": str(shard.high)}


def _described(stream: Stream, shard: Shard) -> Answer:
    spoken: Answer = {
        "ShardId": shard.shard_id,
        "HashKeyRange": _hash_range(shard),
        "SequenceNumberRange": {"StartingSequenceNumber": stream.log.text(shard.first)},
    }
    if shard.ended is not None:
        spoken["SequenceNumberRange"]["EndingSequenceNumber"] = stream.log.text(shard.ended)
    for name, parent in zip(("ParentShardId", "AdjacentParentShardId"), shard.parents, strict=False):
        spoken[name] = parent
    return spoken
