"""What the records on the stream tell."""

from __future__ import annotations

import json
from typing import Any


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
