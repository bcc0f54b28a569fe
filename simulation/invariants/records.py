"""What the records on the stream tell of their events, and by what an event is known again."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from simulation.aws.tables.values import Item


def event_in(data: bytes) -> Item | None:
    """The event that a change record inserts, or that an item in JSON is; None for anything else."""
    try:
        found: Any = json.loads(data)
        item: Item = found["dynamodb"]["NewImage"] if "dynamodb" in found else found
        event_hash(item)
    except (KeyError, TypeError, ValueError):
        return None
    return item


def event_of(data: bytes) -> tuple[str, int] | None:
    """Account and number of the event that a change record inserts; None for any other record."""
    try:
        record: Any = json.loads(data)
        if record["eventName"] != "INSERT":
            return None
        image = record["dynamodb"]["NewImage"]
        return image["aggregateId"]["S"], int(image["sequenceNumber"]["N"])
    except (KeyError, TypeError, ValueError):
        return None


def event_hash(item: Item) -> str:
    """The hash under which what ends at an event keeps it."""
    names = ("aggregateType", "eventType", "payload", "occurredAt", "correlationId")
    attributes = [item["aggregateId"]["S"], int(item["sequenceNumber"]["N"]), *(item[name]["S"] for name in names)]
    text = json.dumps(attributes, separators=(",", ":"), ensure_ascii=False)
    return hashlib.blake2b(text.encode(), digest_size=12).hexdigest()
