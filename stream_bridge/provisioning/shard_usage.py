"""The load of each shard, measured on the stream itself: no paid metrics, and the same on every endpoint."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from faust_kinesis.leases.topology import list_shards
from ledger.runtime.aws import aws_errors
from ledger.runtime.cli_output import to_json
from stream_bridge.provisioning.stream import SHARD_BYTES, SHARD_RECORDS

if TYPE_CHECKING:
    from mypy_boto3_kinesis import KinesisClient

#: The share of its limit from which on a shard is hot.
HOT: Final = 0.8


@dataclass(frozen=True, slots=True)
class ShardUse:
    """The load of one open shard, an average per second."""

    shard_id: str
    records_per_second: float
    bytes_per_second: float

    @property
    def share(self) -> float:
        """Share of the shard's limit, by records or by bytes, whichever is higher. 1: it refuses more."""
        return max(self.records_per_second / SHARD_RECORDS, self.bytes_per_second / SHARD_BYTES)

    def to_json(self) -> dict[str, Any]:
        """As ``--json`` prints it."""
        return {**to_json(self), "share": round(self.share, 3)}


def measure_use(kinesis: "KinesisClient", stream: str, seconds: float) -> list[ShardUse]:
    """Read what arrived on each open shard in the last ``seconds``: at most as many MB a shard.

    Uses up read capacity that other readers share. Raises TransientError.
    """
    with aws_errors(f"measuring the shards of stream {stream}"):
        since = datetime.now(UTC) - timedelta(seconds=seconds)
        shards = sorted(shard.shard_id for shard in list_shards(kinesis, stream).shards.values() if shard.is_open)
        return [_use(kinesis, stream, shard, since, seconds) for shard in shards]


def hot_shards(use: Sequence[ShardUse], mode: str) -> list[str]:
    """A warning for each hot shard, with the remedy."""
    remedy = (
        "AWS splits it by itself within minutes"
        if mode == "ON_DEMAND"
        else f"`kinfold bridge scale --shards {2 * len(use)}` spreads the load"
    )
    return [
        f"shard {each.shard_id} is hot: {each.records_per_second:,.0f} records and "
        f"{each.bytes_per_second / 1024:,.0f} KB a second are {each.share:.0%} of what it takes; {remedy}"
        for each in use
        if each.share >= HOT
    ]


def _use(kinesis: "KinesisClient", stream: str, shard: str, since: datetime, seconds: float) -> ShardUse:
    iterator: str | None = kinesis.get_shard_iterator(
        StreamName=stream, ShardId=shard, ShardIteratorType="AT_TIMESTAMP", Timestamp=since
    )["ShardIterator"]
    records = size = 0
    while iterator is not None:
        answer = kinesis.get_records(ShardIterator=iterator)
        recent = [each for each in answer["Records"] if each["ApproximateArrivalTimestamp"] >= since]
        records += len(recent)
        size += sum(len(each["Data"]) + len(each["PartitionKey"].encode()) for each in recent)
        if not answer.get("MillisBehindLatest"):
            break
        iterator = answer.get("NextShardIterator")
    return ShardUse(shard, records / seconds, size / seconds)
