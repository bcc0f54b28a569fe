"""How far a backfill is, so that one that was ended goes on where it was."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from botocore.exceptions import ClientError

from aws_client.failures import is_condition_failed
from ledger.errors import PermanentError
from ledger.runtime.aws import aws_errors
from ledger.store.parallel_scan import Cursor

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


class BackfillLostError(PermanentError):
    """Another process went on with this backfill."""


@dataclass(frozen=True, slots=True)
class BackfillState:
    """A backfill as it was last recorded. ``name`` says what it republishes, ``runner`` is a token of one process."""

    name: str
    runner: str
    published: int
    cursors: tuple[Cursor, ...]

    @property
    def read(self) -> int:
        """Events that were read so far."""
        return sum(cursor.items for cursor in self.cursors)


class BackfillStates:
    """The rows of backfills under way, in the bridge's control table. Raises TransientError or ResourceError.

    Each backfill belongs to the process that took it up last: every other one finds so at its next record.
    """

    def __init__(self, dynamodb: "DynamoDBClient", table: str) -> None:
        self._dynamodb = dynamodb
        self._table = table

    def take_up(self, name: str, segments: int, *, restart: bool = False) -> BackfillState:
        """Begin the backfill of this name, or go on with one that was not ended, with the segments that it has."""
        found = None if restart else self._find(name)
        state = replace(found or BackfillState(name, "", 0, (Cursor(),) * segments), runner=uuid4().hex)
        with aws_errors(f"recording backfill {name}"):
            self._dynamodb.put_item(TableName=self._table, Item=_item(state))
        return state

    def save(self, state: BackfillState) -> None:
        """Record how far it is. Raises BackfillLostError."""
        with _own(state, "recording"):
            self._dynamodb.put_item(
                TableName=self._table,
                Item=_item(state),
                ConditionExpression="runner = :me",
                ExpressionAttributeValues={":me": {"S": state.runner}},
            )

    def end(self, state: BackfillState) -> None:
        """Forget a backfill that is done. Raises BackfillLostError."""
        with _own(state, "ending"):
            self._dynamodb.delete_item(
                TableName=self._table,
                Key={"id": {"S": _id(state.name)}},
                ConditionExpression="attribute_not_exists(id) OR runner = :me",
                ExpressionAttributeValues={":me": {"S": state.runner}},
            )

    def _find(self, name: str) -> BackfillState | None:
        with aws_errors(f"reading backfill {name}"):
            row = self._dynamodb.get_item(TableName=self._table, Key={"id": {"S": _id(name)}}, ConsistentRead=True)
        return _state(name, row["Item"]) if "Item" in row else None


@contextmanager
def _own(state: BackfillState, doing: str) -> Iterator[None]:
    with aws_errors(f"{doing} backfill {state.name}"):
        try:
            yield
        except ClientError as error:
            if not is_condition_failed(error):
                raise
            raise BackfillLostError(
                f"another process went on with the backfill of {state.name}: leave it to that one"
            ) from error


def _id(name: str) -> str:
    return f"backfill~{name}"


def _item(state: BackfillState) -> dict[str, Any]:
    return {
        "id": {"S": _id(state.name)},
        "runner": {"S": state.runner},
        "published": {"N": str(state.published)},
        "cursors": {"L": [{"M": cursor.to_item()} for cursor in state.cursors]},
    }


def _state(name: str, item: Mapping[str, Any]) -> BackfillState:
    cursors = tuple(Cursor.from_item(each["M"]) for each in item["cursors"]["L"])
    return BackfillState(name, item["runner"]["S"], int(item["published"]["N"]), cursors)
