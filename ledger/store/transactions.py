"""The requests that store events: a conditional PutItem, or one TransactWriteItems, and what their refusals mean."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from aws_client.failures import code_of, is_condition_failed
from ledger.aggregates.events import Event
from ledger.runtime.aws import aws_errors, translate
from ledger.store.errors import AppendTooLargeError, CommandRecordedError, ConditionFailedError, RejectedEventError
from ledger.store.stored_event import StoredEvent, item_size, timestamp

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

#: AWS, "Amazon DynamoDB quotas": actions in one TransactWriteItems, bytes in it, bytes in one item.
MAX_TRANSACTION_ITEMS: Final = 100
MAX_TRANSACTION_BYTES: Final = 4 * 1024 * 1024
MAX_ITEM_BYTES: Final = 400 * 1024

_FREE: Final = "attribute_not_exists(sequenceNumber)"


@dataclass(frozen=True, slots=True)
class CommandPut:
    """One item of the commands table, to be stored in the same transaction as the events of its command."""

    table: str
    item: dict[str, dict[str, str]]
    condition: str
    values: dict[str, dict[str, str]]

    @property
    def command_id(self) -> str:
        """The key of the command's record."""
        return self.item["commandId"]["S"]

    def action(self) -> dict[str, Any]:
        """The put as an action of TransactWriteItems."""
        return {
            "Put": {
                "TableName": self.table,
                "Item": self.item,
                "ConditionExpression": self.condition,
                "ExpressionAttributeValues": self.values,
            }
        }


class Draft:
    """Events after version ``after`` of one aggregate, to be stored together (``EventStore.commit``).

    Commands may share a draft: each adds its events, under a correlation id of its own, and its record, if it has one.
    """

    def __init__(self, aggregate_id: str, after: int, aggregate_type: str, *, now: datetime | None = None) -> None:
        """``now``: when the events occur, by default at this moment."""
        self.aggregate_id = aggregate_id
        self.after = after
        self.events: list[StoredEvent] = []
        self.commands: list[CommandPut] = []
        self._aggregate_type = aggregate_type
        self._occurred_at = timestamp(now or datetime.now(UTC))

    @property
    def room(self) -> int:
        """How many events and records of commands one transaction still holds beside these."""
        return MAX_TRANSACTION_ITEMS - len(self.events) - len(self.commands)

    def add(self, events: Sequence[Event], correlation_id: str) -> list[StoredEvent]:
        """Add the events of one command. Returns them as they will be stored."""
        stored = [
            StoredEvent(
                self.aggregate_id,
                sequence_number,
                self._aggregate_type,
                event.event_type,
                event.payload(),
                self._occurred_at,
                correlation_id,
            )
            for sequence_number, event in enumerate(events, start=self.after + len(self.events) + 1)
        ]
        self.events += stored
        return stored

    def record(self, command: CommandPut) -> None:
        """Add the record of a command whose events were added."""
        self.commands.append(command)


@dataclass(frozen=True, slots=True)
class EventWrite:
    """The events of one append, the version it claims (None: proven), and the commands that it records."""

    table: str
    events: Sequence[StoredEvent]
    claimed: int | None
    commands: Sequence[CommandPut] = ()

    def check_size(self) -> None:
        """Raise AppendTooLargeError, with both figures, for what DynamoDB cannot take at once."""
        sizes = [item_size(event.to_item()) for event in self.events]
        aggregate = self.events[0].aggregate_id
        if max(sizes) > MAX_ITEM_BYTES:
            raise AppendTooLargeError(
                f"{aggregate}: an event of {max(sizes)} bytes; DynamoDB stores at most {MAX_ITEM_BYTES}"
            )
        actions = len(sizes) + (self.claimed is not None) + len(self.commands)
        total = sum(sizes) + sum(item_size(command.item) for command in self.commands)
        if actions > MAX_TRANSACTION_ITEMS or total > MAX_TRANSACTION_BYTES:
            raise AppendTooLargeError(
                f"{aggregate}: {actions} actions of {total} bytes; one transaction holds at most "
                f"{MAX_TRANSACTION_ITEMS} actions and {MAX_TRANSACTION_BYTES} bytes. Append fewer events at once."
            )

    def send(self, dynamodb: "DynamoDBClient") -> float:
        """Store everything or nothing, with the cheapest request that keeps the invariants.

        Returns the write units it took. Raises ConditionFailedError, CommandRecordedError, RejectedEventError (none
        of them wrote anything), ThrottledError and EndpointError.
        """
        if len(self.events) == 1 and self.claimed is None and not self.commands:
            return self._put(dynamodb)
        return self._transact(dynamodb)

    def _put(self, dynamodb: "DynamoDBClient") -> float:
        event = self.events[0]
        with aws_errors(f"appending event {event.sequence_number} of {event.aggregate_id}"):
            try:
                answer = dynamodb.put_item(
                    TableName=self.table,
                    Item=event.to_item(),
                    ConditionExpression=_FREE,
                    ReturnConsumedCapacity="TOTAL",
                )
            except ClientError as error:
                if is_condition_failed(error):
                    raise ConditionFailedError(event.sequence_number, resent=_resent(error)) from None
                if code_of(error) == "ValidationException":
                    raise RejectedEventError(f"{event.aggregate_id}: event {event.sequence_number}: {error}") from None
                raise
        return _units([answer.get("ConsumedCapacity")])

    def _transact(self, dynamodb: "DynamoDBClient") -> float:
        actions: list[Any] = []
        numbers = [event.sequence_number for event in self.events]
        aggregate = self.events[0].aggregate_id
        if self.claimed is not None:
            key = {"aggregateId": {"S": aggregate}, "sequenceNumber": {"N": str(self.claimed)}}
            condition = "attribute_exists(sequenceNumber)"
            actions.append({"ConditionCheck": {"TableName": self.table, "Key": key, "ConditionExpression": condition}})
            numbers.insert(0, self.claimed)
        actions += [
            {"Put": {"TableName": self.table, "Item": event.to_item(), "ConditionExpression": _FREE}}
            for event in self.events
        ]
        actions += [command.action() for command in self.commands]
        doing = f"appending events {self.events[0].sequence_number} to {numbers[-1]} of {aggregate}"
        with aws_errors(doing):
            try:
                answer = dynamodb.transact_write_items(TransactItems=actions, ReturnConsumedCapacity="TOTAL")
            except ClientError as error:
                if code_of(error) != "TransactionCanceledException":
                    raise
                raise _cancellation(error, numbers, self.commands, doing) from error
        return _units(answer.get("ConsumedCapacity", []))


def _cancellation(error: ClientError, numbers: list[int], commands: Sequence[CommandPut], doing: str) -> Exception:
    """Why a transaction was cancelled, from the reason DynamoDB gives for each of its items, in their order.

    What follows the events' own items are the commands'.
    """
    reasons: list[dict[str, Any]] = error.response.get("CancellationReasons", [])  # type: ignore[assignment]
    for reason, number in zip(reasons, numbers, strict=False):
        if reason.get("Code") == "ConditionalCheckFailed":
            return ConditionFailedError(number, resent=_resent(error))
        if reason.get("Code") == "ValidationError":
            return RejectedEventError(f"{doing}: event {number} is malformed: {reason.get('Message')}")
    recorded = {
        command.command_id
        for reason, command in zip(reasons[len(numbers) :], commands, strict=False)
        if reason.get("Code") == "ConditionalCheckFailed"
    }
    if recorded:
        return CommandRecordedError(f"{doing}: the command was recorded before; nothing was written", recorded)
    return translate(error, doing)


def _resent(error: ClientError) -> bool:
    """Whether the SDK had sent the request before this answer to it."""
    return error.response.get("ResponseMetadata", {}).get("RetryAttempts", 0) > 0


def _units(consumed: Sequence[Any]) -> float:
    return sum(float(table["CapacityUnits"]) for table in consumed if table)
