"""Turns records of the table's stream into change records in the format of the native destination.

An inserted event is encoded by ``ledger.store.change_record.encode``. Everything else (an update, a removal, an item
that is no event) means that somebody tampered with the table: it is passed on as it is, so that the projector makes a
dead letter of it.
"""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from ledger.store.change_record import encode
from ledger.store.errors import CorruptHistoryError
from ledger.store.stored_event import StoredEvent

if TYPE_CHECKING:
    from mypy_boto3_dynamodbstreams.type_defs import RecordTypeDef

#: Kinesis' limit on the characters of a partition key.
MAX_KEY_LENGTH: Final = 256


@dataclass(frozen=True, slots=True)
class ChangeRecord:
    """A record to put. ``event``: the inserted event, None for a change that the event store never makes."""

    partition_key: str
    data: bytes
    event: StoredEvent | None


def change_record_of(record: "RecordTypeDef", table: str, region: str) -> ChangeRecord:
    """The change record to put for a record of the table's stream. Never raises, whatever the item holds."""
    if record.get("eventName") == "INSERT":
        try:
            return inserted(StoredEvent.from_item(record["dynamodb"]["NewImage"]), table, region)
        except (CorruptHistoryError, KeyError):
            pass  # no event: passed on below, like every change that the event store never makes
    return ChangeRecord(_partition_key(record), _foreign(record, table, region), None)


def inserted(event: StoredEvent, table: str, region: str) -> ChangeRecord:
    """The change record of an inserted event, read from the stream or from the event store."""
    key = event.aggregate_id
    return ChangeRecord(key if _is_partition_key(key) else _digest(key), encode(event, table, region), event)


def created_at(record: "RecordTypeDef") -> datetime:
    """When the table was changed, by DynamoDB's clock, to the second; now, where the endpoint does not say."""
    moment = record["dynamodb"].get("ApproximateCreationDateTime")
    return moment.astimezone(UTC) if moment else datetime.now(UTC)


def _foreign(record: "RecordTypeDef", table: str, region: str) -> bytes:
    change: dict[str, Any] = {
        name: value
        for name, value in record["dynamodb"].items()
        if name not in {"SequenceNumber", "StreamViewType", "ApproximateCreationDateTime"}
    }
    return json.dumps(
        {
            "awsRegion": region,
            "eventID": record.get("eventID"),
            "eventName": record.get("eventName"),
            "userIdentity": record.get("userIdentity"),
            "recordFormat": "application/json",
            "tableName": table,
            "dynamodb": {
                "ApproximateCreationDateTime": int(created_at(record).timestamp() * 1_000_000),
                "ApproximateCreationDateTimePrecision": "MICROSECOND",
                **change,
            },
            "eventSource": "aws:dynamodb",
        },
        default=_binary,
        separators=(",", ":"),
    ).encode()


def _binary(value: object) -> str:
    """Encode binary attributes as DynamoDB's own JSON does."""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    raise TypeError(f"a {type(value).__name__} in a change record")


def _partition_key(record: "RecordTypeDef") -> str:
    keys: Mapping[str, Any] = record["dynamodb"].get("Keys", {})
    aggregate_id = keys.get("aggregateId", {}).get("S")
    if isinstance(aggregate_id, str) and _is_partition_key(aggregate_id):
        return aggregate_id
    return _digest(json.dumps(keys, default=_binary, sort_keys=True))


def _is_partition_key(text: str) -> bool:
    return 1 <= len(text) <= MAX_KEY_LENGTH and text.isascii()


def _digest(text: str) -> str:
    """A partition key in place of text that Kinesis does not accept as one."""
    return sha256(text.encode(errors="surrogatepass")).hexdigest()
