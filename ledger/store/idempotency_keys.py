"""The commands table: the idempotency keys in use, the command that each stands for, and its response.

A record is stored in the transaction that stores the command's events (``EventStore.append``): both or
neither. Only commands that stored events are recorded: a refusal changed nothing and may be asked again. A restore
of the events table may lose the events and not the record: it names the last of them, and without it is no answer.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ledger.runtime.aws import aws_errors
from ledger.store.parallel_scan import Item
from ledger.store.stored_event import EventReference
from ledger.store.transactions import CommandPut

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


@dataclass(frozen=True, slots=True)
class CommandKey:
    """A client's idempotency key, under the name of the client, and a hash of the command that it stands for."""

    command_id: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class RecordedCommand:
    """A command that was carried out: what it was, its answer, and the last event that it stored.

    ``event`` is None in a record that was stored without.
    """

    fingerprint: str
    status: int
    body: str
    event: EventReference | None


class IdempotencyKeys:
    """Records in ``commands-{profile}``. Safe to share between threads."""

    def __init__(
        self, dynamodb: "DynamoDBClient", table: str, *, retention: float, clock: Callable[[], float] = time.time
    ) -> None:
        """``retention``: seconds for which a record holds; DynamoDB deletes it some time after."""
        self._dynamodb = dynamodb
        self._table = table
        self._retention = retention
        self._clock = clock

    def find(self, key: CommandKey) -> RecordedCommand | None:
        """Read the record of a key, strongly consistent; None when there is none, or only one that has expired.

        Raises ThrottledError, EndpointError, ResourceError.
        """
        with aws_errors(f"reading a command of table {self._table}"):
            item = self._dynamodb.get_item(
                TableName=self._table, Key={"commandId": {"S": key.command_id}}, ConsistentRead=True
            ).get("Item")
        if item is None or int(item["expiresAt"]["N"]) <= self._clock():
            return None
        return RecordedCommand(item["requestHash"]["S"], int(item["status"]["N"]), item["body"]["S"], _event(item))

    def record(
        self, key: CommandKey, status: int, body: str, event: EventReference, worthless: RecordedCommand | None = None
    ) -> CommandPut:
        """The put that records a command, its answer and its last event.

        On the condition that its key is free, has expired, or still has the ``worthless`` record, whose event is lost.
        """
        now = int(self._clock())
        item = {
            "commandId": {"S": key.command_id},
            "requestHash": {"S": key.fingerprint},
            "status": {"N": str(status)},
            "body": {"S": body},
            "expiresAt": {"N": str(now + int(self._retention))},
            "aggregateId": {"S": event.aggregate_id},
            "sequenceNumber": {"N": str(event.sequence_number)},
            "eventHash": {"S": event.event_hash},
        }
        condition = "attribute_not_exists(commandId) OR expiresAt <= :now"
        values = {":now": {"N": str(now)}}
        if worthless is not None and worthless.event is not None:
            condition += " OR eventHash = :lost"
            values[":lost"] = {"S": worthless.event.event_hash}
        return CommandPut(self._table, item, condition, values)


def _event(item: Item) -> EventReference | None:
    if "eventHash" not in item:
        return None
    return EventReference(item["aggregateId"]["S"], int(item["sequenceNumber"]["N"]), item["eventHash"]["S"])
