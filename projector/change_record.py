"""Change records: what DynamoDB puts on Kinesis when an event is inserted, and how it is read.

The format is that of AWS, "Using Kinesis Data Streams to capture changes to DynamoDB": one JSON object with
``eventName``, ``tableName`` and ``dynamodb.NewImage``, an item in DynamoDB's typed notation. A record in the format of
DynamoDB Streams, which some endpoints and relays put instead, names its table in ``eventSourceARN``.
"""

from typing import Any

import orjson

from ledger.errors import CorruptHistoryError
from ledger.stored_event import StoredEvent
from projector.errors import UnusableRecordError


def decode(data: bytes, table: str) -> StoredEvent:
    """Read the event that a change record of ``table`` inserted.

    Raises UnusableRecordError for bytes that are no change record, for another table's, and for a MODIFY or REMOVE:
    nothing may update or delete an event, so these mean that somebody tampered with the table.
    """
    try:
        record: Any = orjson.loads(data)
        name, image = record["eventName"], record["dynamodb"]
        source = record.get("tableName") or record["eventSourceARN"].split("/")[1]
    except (orjson.JSONDecodeError, AttributeError, IndexError, KeyError, TypeError):
        raise UnusableRecordError(f"{len(data)} bytes that are not a change record of DynamoDB") from None
    if source != table:
        raise UnusableRecordError(f"a change record of table {source!r}, not of {table!r}")
    if name != "INSERT":
        raise UnusableRecordError(
            f"a {name} of {_key(image)}: events are append-only, so the table was changed past the event store"
        )
    try:
        return StoredEvent.from_item(image["NewImage"])
    except (CorruptHistoryError, KeyError, TypeError) as error:
        raise UnusableRecordError(f"an INSERT of {_key(image)} that is no event: {error}") from None


def _key(image: Any) -> str:
    try:
        return f"event {image['Keys']['sequenceNumber']['N']} of {image['Keys']['aggregateId']['S']}"[:200]
    except (KeyError, TypeError):
        return "an item without our keys"
