"""The requests that store events: a conditional PutItem, or one TransactWriteItems, and what their refusals mean."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from aws_client.failures import code_of, is_condition_failed
from ledger.runtime.aws import aws_errors, translate
from ledger.store.errors import AppendTooLargeError, CommandRecordedError, ConditionFailedError, RejectedEventError
from ledger.store.stored_event import StoredEvent, item_size

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


@dataclass(frozen=True, slots=True)
class EventWrite:
    """The events of one append, the version it claims (None: proven), and the command it records (None: none)."""

    table: str
    events: Sequence[StoredEvent]
    claimed: int | None
    command: CommandPut | None

    def check_size(self) -> None:
        """Raise AppendTooLargeError, with both figures, for what DynamoDB cannot take at once."""
        sizes = [item_size(event.to_item()) for event in self.events]
        account = self.events[0].aggregate_id
        if max(sizes) > MAX_ITEM_BYTES:
            raise AppendTooLargeError(
                f"{account}: an event of {max(sizes)} bytes; DynamoDB stores at most {MAX_ITEM_BYTES}"
            )
        actions = len(sizes) + (self.claimed is not None) + (self.command is not None)
        total = sum(sizes) + (item_size(self.command.item) if self.command else 0)
        if actions > MAX_TRANSACTION_ITEMS or total > MAX_TRANSACTION_BYTES:
            raise AppendTooLargeError(
                f"{account}: {actions} actions of {total} bytes; one transaction holds at most "
                f"{MAX_TRANSACTION_ITEMS} actions and {MAX_TRANSACTION_BYTES} bytes. Append fewer events at once."
            )

    def send(self, dynamodb: "DynamoDBClient") -> float:
        """Store everything or nothing, with the cheapest request that keeps the invariants.

        Returns the write units it took. Raises ConditionFailedError, CommandRecordedError, RejectedEventError (none
        of them wrote anything), ThrottledError and EndpointError.
        """
        if len(self.events) == 1 and self.claimed is None and self.command is None:
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
        account = self.events[0].aggregate_id
        if self.claimed is not None:
            key = {"aggregateId": {"S": account}, "sequenceNumber": {"N": str(self.claimed)}}
            condition = "attribute_exists(sequenceNumber)"
            actions.append({"ConditionCheck": {"TableName": self.table, "Key": key, "ConditionExpression": condition}})
            numbers.insert(0, self.claimed)
        actions += [
            {"Put": {"TableName": self.table, "Item": event.to_item(), "ConditionExpression": _FREE}}
            for event in self.events
        ]
        if self.command is not None:
            actions.append(self.command.action())
        doing = f"appending events {self.events[0].sequence_number} to {numbers[-1]} of {account}"
        with aws_errors(doing):
            try:
                answer = dynamodb.transact_write_items(TransactItems=actions, ReturnConsumedCapacity="TOTAL")
            except ClientError as error:
                if code_of(error) != "TransactionCanceledException":
                    raise
                raise _cancellation(error, numbers, doing) from error
        return _units(answer.get("ConsumedCapacity", []))


def _cancellation(error: ClientError, numbers: list[int], doing: str) -> Exception:
    """Why a transaction was cancelled, from the reason DynamoDB gives for each of its items, in their order.

    What follows the events' own items is the command's.
    """
    reasons: list[dict[str, Any]] = error.response.get("CancellationReasons", [])  # type: ignore[assignment]
    for reason, number in zip(reasons, numbers, strict=False):
        if reason.get("Code") == "ConditionalCheckFailed":
            return ConditionFailedError(number, resent=_resent(error))
        if reason.get("Code") == "ValidationError":
            return RejectedEventError(f"{doing}: event {number} is malformed: {reason.get('Message')}")
    if any(reason.get("Code") == "ConditionalCheckFailed" for reason in reasons[len(numbers) :]):
        return CommandRecordedError(f"{doing}: the command was recorded meanwhile; nothing was written")
    return translate(error, doing)


def _resent(error: ClientError) -> bool:
    """Whether the SDK had sent the request before this answer to it."""
    return error.response.get("ResponseMetadata", {}).get("RetryAttempts", 0) > 0


def _units(consumed: Sequence[Any]) -> float:
    return sum(float(table["CapacityUnits"]) for table in consumed if table)
