"""The audit log: who did what to a profile, with which parameters, and how it ended.

One partition, sorted by time: operators act seldom, and what is asked for is what they did last. A record is written
before the work begins, and completed when it ends; one without an end belongs to work that is still going on, or that
was killed.
"""

import json
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Self

import structlog

from aws_client.tables import TableSpec
from ledger.errors import KinfoldError
from ledger.runtime.aws import aws_errors
from ledger.store.stored_event import timestamp
from ledger.store.tables import Names

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

log = structlog.get_logger(__name__)

_JOURNAL: Final = "actions"
#: What a record keeps of one text and of one list: an item has at most 400 KB (AWS, "Amazon DynamoDB quotas").
_MAX_TEXT: Final = 2000
_MAX_LIST: Final = 100
_INTERRUPTED: Final = 130


def audit_spec(names: Names) -> TableSpec:
    """The table of the audit log."""
    return TableSpec(names.audit, (("journal", "S"), ("id", "S")))


@dataclass(frozen=True, slots=True)
class Action:
    """What somebody did or is doing. ``action`` is a command's words, such as ``projector rebuild``.

    Times are ISO 8601, UTC. ``exit_code`` is that of a command, 0 for done; None while no end is recorded. ``said``:
    why it failed. ``details``: what it came to, as the work tells it.
    """

    id: str
    by: str
    action: str
    parameters: Mapping[str, Any]
    began_at: str
    ended_at: str | None = None
    exit_code: int | None = None
    said: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_item(cls, item: Mapping[str, Any]) -> Self:
        """Read what ``AuditLog`` has stored."""
        text = {name: str(value.get("S", value.get("N"))) for name, value in item.items()}
        return cls(
            id=text["id"],
            by=text["by"],
            action=text["action"],
            parameters=json.loads(text["parameters"]),
            began_at=text["beganAt"],
            ended_at=text.get("endedAt"),
            exit_code=int(text["exitCode"]) if "exitCode" in text else None,
            said=text.get("said", ""),
            details=json.loads(text.get("details", "{}")),
        )


class AuditLog:
    """The actions of one profile, newest first. Every method raises ThrottledError, EndpointError or ResourceError."""

    def __init__(self, dynamodb: "DynamoDBClient", table: str) -> None:
        self._dynamodb = dynamodb
        self._table = table

    @contextmanager
    def recording(self, action: str, parameters: Mapping[str, Any], *, by: str) -> Iterator[dict[str, Any]]:
        """Record the block as one action; what the block puts into the dictionary becomes its ``details``.

        Nothing begins that is not recorded: without the record's first half the block does not run. When the second
        half cannot be written, the work is done all the same, and a log line says so.
        """
        recorded = self._begin(action, parameters, by)
        details: dict[str, Any] = {}
        exit_code, said = 0, ""
        try:
            yield details
        except BaseException as error:
            interrupted = _INTERRUPTED if isinstance(error, KeyboardInterrupt) else 1
            exit_code = getattr(error, "exit_code", interrupted)
            # The words of any other error may repeat what is nobody's business here.
            said = str(error) if isinstance(error, KinfoldError) else type(error).__name__ if exit_code == 1 else ""
            raise
        finally:
            self._end(recorded, exit_code, said, details)

    def recent(self, limit: int = 20, *, before: str | None = None, action: str | None = None) -> list[Action]:
        """The last actions, newest first; those before the record ``before``, and of one kind, where these are given.

        With ``action`` at most the last 1 MB of records is searched.
        """
        request: dict[str, Any] = {
            "KeyConditionExpression": "journal = :journal AND id < :before",
            # A tilde sorts after every time.
            "ExpressionAttributeValues": {":journal": {"S": _JOURNAL}, ":before": {"S": before or "~"}},
        }
        if action is None:
            request["Limit"] = limit
        else:
            request |= {"FilterExpression": "#action = :action", "ExpressionAttributeNames": {"#action": "action"}}
            request["ExpressionAttributeValues"][":action"] = {"S": action}
        with aws_errors(f"reading the audit log {self._table}"):
            page = self._dynamodb.query(TableName=self._table, ScanIndexForward=False, **request)
        return [Action.from_item(item) for item in page["Items"][:limit]]

    def _begin(self, action: str, parameters: Mapping[str, Any], by: str) -> str:
        now = timestamp(datetime.now(UTC))
        row = {
            "journal": _JOURNAL,
            "id": f"{now}~{secrets.token_hex(4)}",
            "by": _storable(by),
            "action": action,
            "parameters": json.dumps(_bounded(parameters)),
            "beganAt": now,
        }
        with aws_errors(f"recording the action in the audit log {self._table}"):
            self._dynamodb.put_item(TableName=self._table, Item={name: {"S": text} for name, text in row.items()})
        return row["id"]

    def _end(self, recorded: str, exit_code: int, said: str, details: Mapping[str, Any]) -> None:
        try:
            with aws_errors(f"recording the end of the action in the audit log {self._table}"):
                self._dynamodb.update_item(
                    TableName=self._table,
                    Key={"journal": {"S": _JOURNAL}, "id": {"S": recorded}},
                    UpdateExpression="SET endedAt = :at, exitCode = :code, said = :said, details = :details",
                    ExpressionAttributeValues={
                        ":at": {"S": timestamp(datetime.now(UTC))},
                        ":code": {"N": str(exit_code)},
                        ":said": {"S": _storable(said)},
                        ":details": {"S": json.dumps(_bounded(details))},
                    },
                )
        except KinfoldError as error:
            log.warning(
                "end_not_recorded",
                id=recorded,
                exit_code=exit_code,
                reason=str(error),
                action="none: the work itself is not concerned, its record stays without an end",
            )


def _bounded(value: Any) -> Any:
    """JSON of bounded size: what is too long is cut, and says so."""
    match value:
        case None | bool() | int() | float():
            return value
        case Mapping():
            return {str(name): _bounded(each) for name, each in value.items()}
        case list() | tuple() | set() | frozenset():
            kept = [_bounded(each) for each in list(value)[:_MAX_LIST]]
            return kept if len(value) <= _MAX_LIST else [*kept, f"... and {len(value) - _MAX_LIST} more"]
    return _storable(str(value))


def _storable(text: str) -> str:
    """Half a surrogate pair, of bytes that are no UTF-8, cannot be stored."""
    whole = text.encode("utf-8", "backslashreplace").decode()
    return whole if len(whole) <= _MAX_TEXT else f"{whole[:_MAX_TEXT]}... ({len(whole)} characters)"
