"""Upcasters: how the payload of an event is brought forward, one schema version at a time.

A stored event is never changed. When an event class gets another shape, raise its ``schema_version`` and add here the
step from the version before. Steps run wherever an event is decoded (``StoredEvent.decode``): in the account, in every
projection, in verification. A new field needs a new version and a step too: code that does not know it refuses it.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

Fields = dict[str, Any]
#: Makes the fields of the next version from those of one, and from the event's sequence number.
Upcaster = Callable[[Fields, int], Fields]


def _bet_placed_1(fields: Fields, sequence_number: int) -> Fields:
    """Version 1 did not name the bet: an account had one at a time. The event's number names it, once and for all."""
    return {"betId": f"v1:{sequence_number}"} | fields


#: (event type, the version that a step starts from) -> the step.
UPCASTERS: Final[Mapping[tuple[str, int], Upcaster]] = MappingProxyType({("BetPlaced", 1): _bet_placed_1})


def upcast(event_type: str, fields: Fields, current: int, sequence_number: int) -> Fields:
    """Bring a payload's fields forward to version ``current``. Every step below it exists (a test holds that)."""
    while fields["schemaVersion"] < current:
        version = fields["schemaVersion"]
        fields = UPCASTERS[event_type, version](fields, sequence_number) | {"schemaVersion": version + 1}
    return fields
