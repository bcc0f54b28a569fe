"""What comes from the ledger, as text that a terminal shows and does not obey."""

import json
from typing import Any

from ledger.store.stored_event import StoredEvent


def plain(text: str) -> str:
    """The text with what cannot be seen, such as a terminal's control characters, written out."""
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape", "backslashreplace").decode() for each in text
    )


def as_json(value: Any) -> str:
    """JSON on a line, letters of every language as they are."""
    return plain(json.dumps(value, ensure_ascii=False))


def payload(event: StoredEvent) -> Any:
    """The payload of an event; its text, where that is no JSON."""
    try:
        return json.loads(event.payload)
    except ValueError:
        return event.payload


def event_json(event: StoredEvent) -> dict[str, Any]:
    """An event as ``--json`` prints it, whether or not this code knows its type."""
    return {
        "aggregateId": event.aggregate_id,
        "sequenceNumber": event.sequence_number,
        "aggregateType": event.aggregate_type,
        "eventType": event.event_type,
        "payload": payload(event),
        "occurredAt": event.occurred_at,
        "correlationId": event.correlation_id,
    }


def event_line(event: StoredEvent) -> str:
    """An event on a line: when, of which aggregate, the number, the type and the payload."""
    head = f"{event.occurred_at}  {event.aggregate_id}  {event.sequence_number}  {event.event_type}"
    return f"{plain(head)}  {as_json(payload(event))}"
