"""Upcasters: how an older payload of a betting event is brought forward, one schema version at a time."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from ledger.aggregates import Fields, Upcaster


def _bet_placed_1(fields: Fields, sequence_number: int) -> Fields:
    """Version 1 did not name the bet: an account had one at a time. The event's number names it, once and for all."""
    return {"betId": f"v1:{sequence_number}"} | fields


#: (event type, the version that a step starts from) -> the step.
UPCASTERS: Final[Mapping[tuple[str, int], Upcaster]] = MappingProxyType({("BetPlaced", 1): _bet_placed_1})
