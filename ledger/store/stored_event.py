"""An event as the table holds it: exactly seven attributes, and the conversion to and from a DynamoDB item."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

import msgspec
import orjson

from ledger.aggregates.aggregate_type import AggregateType
from ledger.aggregates.events import Event, UnreadablePayloadError
from ledger.store.errors import CorruptHistoryError, UndecodableEventError

E = TypeVar("E", bound=Event)

#: The wire type of each attribute. The order is that of section "What is stored" in docs/design.md.
ATTRIBUTES: Final = {
    "aggregateId": "S",
    "sequenceNumber": "N",
    "aggregateType": "S",
    "eventType": "S",
    "payload": "S",
    "occurredAt": "S",
    "correlationId": "S",
}


#: What ``timestamp`` writes: days are cut from it, and moments compared, as text.
_TIMESTAMP: Final = "0000-00-00T00:00:00.000000+00:00"
_LENGTH: Final = len(_TIMESTAMP)
_MARKS: Final = slice(4, 20, 3)
_MARKED: Final = _TIMESTAMP[_MARKS]
_ZONE: Final = _TIMESTAMP[26:]
#: Far beyond any history, and well within the 38 digits of a DynamoDB number.
MAX_SEQUENCE_NUMBER: Final = 10**15
#: Bytes of an event's hash: two events have the same one once in 2**96 times. Against accident, not forgery.
_HASH_SIZE: Final = 12
#: Where an event keeps what it was read as, beside its attributes.
_DECODED: Final = "decoded"


@dataclass(frozen=True, slots=True)
class EventReference:
    """One event, and no other that may take its number once a restore has lost it."""

    aggregate_id: str
    sequence_number: int
    event_hash: str

    @property
    def key(self) -> dict[str, dict[str, str]]:
        """The event's primary key."""
        return {"aggregateId": {"S": self.aggregate_id}, "sequenceNumber": {"N": str(self.sequence_number)}}


class TextValue(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """An attribute value of type S."""

    S: str


class NumberValue(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """An attribute value of type N."""

    N: str


class EventItem(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False, rename="camel"):
    """The shape of an event's item: the ATTRIBUTES, no more and no fewer. What does not fit may be an event still."""

    aggregate_id: TextValue
    sequence_number: NumberValue
    aggregate_type: TextValue
    event_type: TextValue
    payload: TextValue
    occurred_at: TextValue
    correlation_id: TextValue

    def event(self) -> "StoredEvent | None":
        """The event that the item holds; None where ``StoredEvent.from_item`` has to look, and may refuse it."""
        at = self.occurred_at.S
        try:
            number = int(self.sequence_number.N)
        except ValueError:
            return None
        if not (_is_timestamp(at) and 0 < number <= MAX_SEQUENCE_NUMBER):
            return None
        return StoredEvent(
            self.aggregate_id.S,
            number,
            self.aggregate_type.S,
            self.event_type.S,
            self.payload.S,
            at,
            self.correlation_id.S,
        )


#: An event's item: in its shape already, or typed attribute values by name.
AnyItem = EventItem | Mapping[str, Mapping[str, Any]]


class StoredEvent(msgspec.Struct, frozen=True, dict=True):
    """One stored event. ``payload`` is JSON as written, ``occurred_at`` ISO 8601 in UTC with microseconds.

    It keeps the domain event that it was read as: several read models fold the same one.
    """

    aggregate_id: str
    sequence_number: int
    aggregate_type: str
    event_type: str
    payload: str
    occurred_at: str
    correlation_id: str

    @classmethod
    def from_item(cls, item: AnyItem) -> "StoredEvent":
        """Read a DynamoDB item (typed attribute values, as the low-level client and change records carry them).

        Raises CorruptHistoryError when an attribute is missing, of another type, or one too many, and for a sequence
        number or time that no event has: an item that is not exactly an event was not written by an event store.
        """
        if isinstance(item, EventItem):
            return item.event() or cls._examined(msgspec.to_builtins(item))
        try:
            event = msgspec.convert(item, EventItem).event()
        except msgspec.ValidationError:
            event = None
        return event or cls._examined(item)

    @classmethod
    def _examined(cls, item: Mapping[str, Mapping[str, Any]]) -> "StoredEvent":
        """Read an item attribute by attribute: slower, and says what is wrong with it."""
        aggregate_id, number, *others = (_text(item, name, kind) for name, kind in ATTRIBUTES.items())
        try:
            event = cls(aggregate_id, int(number), *others)
        except ValueError:
            raise CorruptHistoryError("not a stored event: attribute 'sequenceNumber' is no number") from None
        if not _is_timestamp(event.occurred_at):
            raise CorruptHistoryError(
                "not a stored event: attribute 'occurredAt' is no time as an event store writes it"
            )
        if not 0 < event.sequence_number <= MAX_SEQUENCE_NUMBER:
            raise CorruptHistoryError("not a stored event: attribute 'sequenceNumber' is one that no event has")
        if len(item) != len(ATTRIBUTES):
            foreign = ", ".join(sorted(item.keys() - ATTRIBUTES.keys()))
            raise CorruptHistoryError(
                f"{event.aggregate_id}: event {event.sequence_number} has attributes no event store wrote: {foreign}"
            )
        return event

    def to_item(self) -> dict[str, dict[str, str]]:
        """Write the event as a DynamoDB item."""
        return {
            "aggregateId": {"S": self.aggregate_id},
            "sequenceNumber": {"N": str(self.sequence_number)},
            "aggregateType": {"S": self.aggregate_type},
            "eventType": {"S": self.event_type},
            "payload": {"S": self.payload},
            "occurredAt": {"S": self.occurred_at},
            "correlationId": {"S": self.correlation_id},
        }

    @property
    def event_hash(self) -> str:
        """A hash of all seven attributes, 24 hex digits: tells the event from another one at the same number.

        What is derived from a history is stored with the hash of the event that it ends at. After a restore of the
        table, a number alone proves nothing.
        """
        attributes = (
            self.aggregate_id,
            self.sequence_number,
            self.aggregate_type,
            self.event_type,
            self.payload,
            self.occurred_at,
            self.correlation_id,
        )
        return hashlib.blake2b(orjson.dumps(attributes), digest_size=_HASH_SIZE).hexdigest()

    @property
    def reference(self) -> EventReference:
        """What to keep of the event to know it again."""
        return EventReference(self.aggregate_id, self.sequence_number, self.event_hash)

    def decode(self, kind: AggregateType[Any, E]) -> E:
        """Read the domain event of an aggregate of this type.

        Raises UndecodableEventError, which names the event and never shows its payload; also for another type's event.
        """
        kept = self.__dict__.get(_DECODED)
        if kept is not None and kept[0] is kind:
            read: E = kept[1]
            return read
        if self.aggregate_type != kind.name:
            reason = f"it is of aggregate type {self.aggregate_type!r}, not of {kind.name!r}"
            raise UndecodableEventError(self.aggregate_id, self.sequence_number, reason)
        try:
            event = kind.events.decode(self.event_type, self.payload, self.sequence_number)
        except UnreadablePayloadError as error:
            raise UndecodableEventError(self.aggregate_id, self.sequence_number, str(error)) from None
        self.__dict__[_DECODED] = kind, event
        return event


def _is_timestamp(text: str) -> bool:
    """Whether ``timestamp`` could have written it: a moment that there is, in the one of ISO 8601's forms."""
    if len(text) != _LENGTH or text[_MARKS] != _MARKED or not text.endswith(_ZONE):
        return False
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def _text(item: Mapping[str, Mapping[str, Any]], name: str, kind: str) -> str:
    try:
        value = item[name][kind]
    except (KeyError, TypeError):
        value = None
    if not isinstance(value, str):
        raise CorruptHistoryError(f"not a stored event: attribute {name!r} is missing or of another type")
    return value


def item_size(item: Mapping[str, Mapping[str, str]]) -> int:
    """Bytes that DynamoDB counts for an item: names and values in UTF-8, a number about two digits a byte.

    AWS, "DynamoDB item sizes and formats". An upper bound for numbers, exact for strings.
    """
    return sum(len(name) + len(next(iter(value.values())).encode()) + 1 for name, value in item.items())


def timestamp(moment: datetime) -> str:
    """Write a moment as ``occurredAt`` holds it: ISO 8601, UTC, always six digits of microseconds, so it sorts."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")
