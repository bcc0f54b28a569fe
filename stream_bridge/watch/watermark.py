"""How far the watch has reconciled the table with the stream: where the next watch resumes."""

import json
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from ledger.runtime.aws import aws_errors
from ledger.store.stored_event import timestamp

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_ID: Final = "watch"


@dataclass(frozen=True, slots=True)
class Watermark:
    """Every event that the table took up to here is on the stream.

    ``moment``: all that the table took before it was read. ``stream_arn``: the table's stream, and ``positions``: the
    last record read of each of its shards, None where there was none yet. ``gap``: a period (since, until) that is
    still to be backfilled, because the table's stream no longer holds its events.
    """

    moment: datetime
    stream_arn: str = ""
    positions: Mapping[str, str | None] | None = None
    gap: tuple[datetime, datetime] | None = None


class WatermarkStore:
    """The watermark of one profile, in the bridge's control table. Raises TransientError or ResourceError."""

    def __init__(self, dynamodb: "DynamoDBClient", table: str) -> None:
        self._dynamodb = dynamodb
        self._table = table

    def find(self) -> Watermark | None:
        """The last saved watermark; None before the first."""
        with aws_errors("reading the watch's watermark"):
            row = self._dynamodb.get_item(TableName=self._table, Key={"id": {"S": _ID}}, ConsistentRead=True)
        if "Item" not in row:
            return None
        saved = json.loads(row["Item"]["mark"]["S"])
        gap = saved["gap"]
        return Watermark(
            datetime.fromisoformat(saved["moment"]),
            saved["streamArn"],
            saved["positions"],
            (datetime.fromisoformat(gap[0]), datetime.fromisoformat(gap[1])) if gap else None,
        )

    def save(self, watermark: Watermark) -> None:
        """Save the watermark. The last of two watches wins, which at worst compares some events again."""
        saved = {
            "moment": timestamp(watermark.moment),
            "streamArn": watermark.stream_arn,
            "positions": watermark.positions,
            "gap": [timestamp(moment) for moment in watermark.gap] if watermark.gap else None,
        }
        with aws_errors("saving the watch's watermark"):
            self._dynamodb.put_item(TableName=self._table, Item={"id": {"S": _ID}, "mark": {"S": json.dumps(saved)}})


class PendingWatermarks:
    """Watermarks that become valid once every event taken before them is shown. Pure."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[int, Watermark]] = deque(maxlen=360)

    def add(self, taken: int, watermark: Watermark) -> None:
        """Add a watermark that comes after the first ``taken`` events."""
        self._waiting.append((taken, watermark))

    def reached(self, settled: int) -> Watermark | None:
        """The newest watermark that is valid once the first ``settled`` events are shown; forgets the older ones."""
        newest = None
        while self._waiting and self._waiting[0][0] <= settled:
            newest = self._waiting.popleft()[1]
        return newest


def with_gap(watermark: Watermark, since: datetime) -> Watermark:
    """The watermark with a gap from ``since`` (or from where its own gap begins, if that is earlier) until now."""
    begin = min(since, watermark.gap[0]) if watermark.gap else since
    return replace(watermark, gap=(begin, datetime.now(UTC)))
