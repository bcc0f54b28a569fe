"""How far the watch has compared the table with the stream, so that one that was ended goes on from there."""

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
class Mark:
    """Every event that the table took up to here is on the stream.

    ``moment``: what the table took before it was read. ``stream_arn``: the table's stream, and ``positions``: the last
    record read of each of its shards, None where there was none yet. ``gap``: a spell that is still to be backfilled,
    because the table's stream no longer tells what it held.
    """

    moment: datetime
    stream_arn: str = ""
    positions: Mapping[str, str | None] | None = None
    gap: tuple[datetime, datetime] | None = None


class Marks:
    """The mark of one profile, in the bridge's control table. Raises TransientError or ResourceError."""

    def __init__(self, dynamodb: "DynamoDBClient", table: str) -> None:
        self._dynamodb = dynamodb
        self._table = table

    def find(self) -> Mark | None:
        """The mark that was saved last; None before the first."""
        with aws_errors("reading the watch's mark"):
            row = self._dynamodb.get_item(TableName=self._table, Key={"id": {"S": _ID}}, ConsistentRead=True)
        if "Item" not in row:
            return None
        told = json.loads(row["Item"]["mark"]["S"])
        gap = told["gap"]
        return Mark(
            datetime.fromisoformat(told["moment"]),
            told["streamArn"],
            told["positions"],
            (datetime.fromisoformat(gap[0]), datetime.fromisoformat(gap[1])) if gap else None,
        )

    def save(self, mark: Mark) -> None:
        """Keep the mark. Of two watches the later one wins, which at worst compares some events again."""
        told = {
            "moment": timestamp(mark.moment),
            "streamArn": mark.stream_arn,
            "positions": mark.positions,
            "gap": [timestamp(moment) for moment in mark.gap] if mark.gap else None,
        }
        with aws_errors("saving the watch's mark"):
            self._dynamodb.put_item(TableName=self._table, Item={"id": {"S": _ID}, "mark": {"S": json.dumps(told)}})


class Pending:
    """Marks that hold once all that was taken before them is shown. Pure."""

    def __init__(self) -> None:
        self._marks: deque[tuple[int, Mark]] = deque(maxlen=360)

    def add(self, taken: int, mark: Mark) -> None:
        """A mark after the first ``taken`` events."""
        self._marks.append((taken, mark))

    def reached(self, settled: int) -> Mark | None:
        """The newest mark that holds now that the first ``settled`` events are shown; forgets those before it."""
        newest = None
        while self._marks and self._marks[0][0] <= settled:
            newest = self._marks.popleft()[1]
        return newest


def with_gap(mark: Mark, since: datetime) -> Mark:
    """The mark with a gap from ``since`` (or the gap's own beginning, if that is earlier) until now."""
    begin = min(since, mark.gap[0]) if mark.gap else since
    return replace(mark, gap=(begin, datetime.now(UTC)))
