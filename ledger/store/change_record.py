"""Change records: what is on the stream for each event that was inserted, and how it is read.

The format is that of AWS, "Using Kinesis Data Streams to capture changes to DynamoDB": one JSON object with
``eventName``, ``tableName`` and ``dynamodb.NewImage``, an item in DynamoDB's typed notation. A record in the format of
DynamoDB Streams, which some endpoints put instead, names its table in ``eventSourceARN``.
"""

from collections.abc import Callable
from datetime import datetime
from functools import lru_cache
from typing import Any, Final, Literal

import msgspec
import orjson

from ledger.aggregates.identifiers import MARK, is_key
from ledger.store.errors import CorruptHistoryError, ForeignRecordError, UnusableRecordError
from ledger.store.stored_event import MAX_SEQUENCE_NUMBER, EventItem, NumberValue, StoredEvent, TextValue, item_size

#: Whether an aggregate of this type (by name) can have this key: ``(key, name)``.
Fits = Callable[[str, str], bool]


@lru_cache(10_000)
def fits_its_type(key: str, name: str) -> bool:
    """Whether an aggregate of this type can have this key, whatever types there are.

    The same few thousand aggregates come again and again.
    """
    prefix, mark, _ = key.rpartition(MARK)
    return is_key(key) and (not mark or prefix == name)


class _Keys(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False, rename="camel"):
    aggregate_id: TextValue
    sequence_number: NumberValue


class _Change(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False, kw_only=True, rename="pascal"):
    approximate_creation_date_time: int
    approximate_creation_date_time_precision: str = ""
    keys: _Keys
    new_image: EventItem
    size_bytes: int


class _Insert(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False, kw_only=True, rename="camel"):
    """The change record of an insert, in the order in which the native destination writes its fields.

    Each is named, so that none is passed by unread: what is passed by may be malformed.
    """

    aws_region: str = ""
    event_id: str = msgspec.field(default="", name="eventID")
    event_name: Literal["INSERT"]
    user_identity: None = None
    record_format: str = ""
    table_name: str
    dynamodb: _Change
    event_source: str = ""


_decode_insert: Final = msgspec.json.Decoder(_Insert).decode


def encode(event: StoredEvent, table: str, region: str) -> bytes:
    """Write the record that DynamoDB's native destination puts when ``event`` is inserted into ``table``.

    Its time is the event's own. ``eventID`` is made of the event's key, so that a record which is put again is the
    same to the byte.
    """
    item = event.to_item()
    moment = datetime.fromisoformat(event.occurred_at)
    return orjson.dumps(
        {
            "awsRegion": region,
            "eventID": f"{event.aggregate_id}-{event.sequence_number}",
            "eventName": "INSERT",
            "userIdentity": None,
            "recordFormat": "application/json",
            "tableName": table,
            "dynamodb": {
                "ApproximateCreationDateTime": int(moment.timestamp() * 1_000_000),
                "ApproximateCreationDateTimePrecision": "MICROSECOND",
                "Keys": {name: item[name] for name in ("aggregateId", "sequenceNumber")},
                "NewImage": item,
                "SizeBytes": item_size(item),
            },
            "eventSource": "aws:dynamodb",
        }
    )


def decode(data: bytes, table: str, fits: Fits = fits_its_type) -> StoredEvent:
    """Read the event that a change record of ``table`` inserted. ``fits``: of a ledger, ``AggregateTypes.fits``.

    Raises ForeignRecordError for another table's, and UnusableRecordError for bytes that are no change record, and for
    a MODIFY or REMOVE: nothing may update or delete an event, so these mean that somebody tampered with the table. The
    error names aggregate and sequence number where the record's keys tell them.
    """
    try:
        insert = _decode_insert(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return _examined(data, table, fits)
    event = insert.dynamodb.new_image.event()
    if event is None or insert.table_name != table or not fits(event.aggregate_id, event.aggregate_type):
        return _examined(data, table, fits)
    return event


def _examined(data: bytes, table: str, fits: Fits = fits_its_type) -> StoredEvent:
    """Read any record: slower, and says what is wrong with it."""
    try:
        record: Any = orjson.loads(data)
        name, change = record["eventName"], record["dynamodb"]
        source = record.get("tableName") or record["eventSourceARN"].split("/")[1]
    except (orjson.JSONDecodeError, AttributeError, IndexError, KeyError, TypeError):
        raise UnusableRecordError(f"{len(data)} bytes that are not a change record of DynamoDB") from None
    if source != table:
        raise ForeignRecordError(str(source), table)
    if name != "INSERT":
        reason = (
            f"a {str(name)[:20]} of an event: events are append-only, so the table was changed past the event store"
        )
        raise UnusableRecordError(reason, *_key(change))
    try:
        event = StoredEvent.from_item(change["NewImage"])
    except (CorruptHistoryError, KeyError, TypeError) as error:
        raise UnusableRecordError(f"an INSERT of what is no event: {str(error)[:200]}", *_key(change)) from None
    if not fits(event.aggregate_id, event.aggregate_type):
        reason = "an INSERT of an event whose aggregate id no aggregate of its type can have"
        raise UnusableRecordError(reason, *_key(change))
    return event


def _key(change: Any) -> tuple[str | None, int | None]:
    """Aggregate and sequence number of a change, if both are such as the event store writes."""
    try:
        aggregate_id = change["Keys"]["aggregateId"]["S"]
        sequence_number = int(change["Keys"]["sequenceNumber"]["N"])
    except (KeyError, TypeError, ValueError):
        return None, None
    usable = isinstance(aggregate_id, str) and is_key(aggregate_id) and 0 < sequence_number <= MAX_SEQUENCE_NUMBER
    return (aggregate_id, sequence_number) if usable else (None, None)
