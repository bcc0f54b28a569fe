"""An operator's hold on the watch: while one is set, the watch observes and reports, and changes nothing."""

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from ledger.runtime.aws import aws_errors
from ledger.store.stored_event import timestamp

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_ID: Final = "hold"


@dataclass(frozen=True, slots=True)
class Hold:
    """Who holds the watch, why, and since when (ISO 8601, UTC)."""

    by: str
    reason: str
    since: str

    def __str__(self) -> str:
        return f"held by {self.by} since {self.since}: {self.reason}"


class Holds:
    """The hold of one profile, in the bridge's control table. Raises TransientError or ResourceError."""

    def __init__(self, dynamodb: "DynamoDBClient", table: str) -> None:
        self._dynamodb = dynamodb
        self._table = table

    def set(self, by: str, reason: str) -> Hold:
        """Hold the watch, replacing any earlier hold."""
        hold = Hold(by, reason, timestamp(datetime.now(UTC)))
        row = {"id": _ID, **asdict(hold)}
        with aws_errors("setting the hold"):
            self._dynamodb.put_item(TableName=self._table, Item={name: {"S": text} for name, text in row.items()})
        return hold

    def lift(self) -> None:
        """Let the watch repair again. Idempotent."""
        with aws_errors("lifting the hold"):
            self._dynamodb.delete_item(TableName=self._table, Key={"id": {"S": _ID}})

    def find(self) -> Hold | None:
        """The current hold; None when there is none."""
        with aws_errors("reading the hold"):
            row = self._dynamodb.get_item(TableName=self._table, Key={"id": {"S": _ID}}, ConsistentRead=True)
        item = row.get("Item")
        return Hold(item["by"]["S"], item["reason"]["S"], item["since"]["S"]) if item else None
