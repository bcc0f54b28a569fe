"""What the peers do with a change record: (a) `UpdateItem ADD balance`, (b) the same once, by a marker of the event."""

from decimal import Decimal
from typing import Any, NamedTuple

import orjson


class Change(NamedTuple):
    """What an event does to a balance. ``amount`` is signed."""

    account: str
    number: str
    amount: Decimal


def change_of(data: bytes | str) -> Change:
    """Read a change record of the events table."""
    image = orjson.loads(data)["dynamodb"]["NewImage"]
    amount = signed_amount(image["eventType"]["S"], orjson.loads(image["payload"]["S"]))
    return Change(image["aggregateId"]["S"], image["sequenceNumber"]["N"], amount)


def signed_amount(event_type: str, payload: dict[str, str]) -> Decimal:
    """What an event does to the balance."""
    match event_type:
        case "FundsDeposited":
            return Decimal(payload["amount"])
        case "FundsWithdrawn":
            return -Decimal(payload["amount"])
        case "BetPlaced":
            return -Decimal(payload["stake"])
        case "BetSettled":
            return Decimal(payload["payout"])
        case other:
            raise ValueError(f"unknown event type {other}")


def addition(table: str, change: Change) -> dict[str, Any]:
    """The arguments of UpdateItem that add the change to its balance."""
    return {
        "TableName": table,
        "Key": {"aggregateId": {"S": change.account}},
        "UpdateExpression": "ADD balance :amount",
        "ExpressionAttributeValues": {":amount": {"N": str(change.amount)}},
    }


def addition_once(table: str, markers: str, change: Change) -> list[dict[str, Any]]:
    """The actions of TransactWriteItems that do so once: the event's marker must not be there yet."""
    marker = {
        "TableName": markers,
        "Item": {"eventId": {"S": f"{change.account}#{change.number}"}},
        "ConditionExpression": "attribute_not_exists(eventId)",
    }
    return [{"Put": marker}, {"Update": addition(table, change)}]
