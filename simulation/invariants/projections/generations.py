"""Control rows: what readers may still see is fed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from simulation.aws.tables.table import Key, Table
from simulation.aws.tables.values import Item
from simulation.invariants.history import Violated

#: Seconds for which a reader may go by a control row that it has read.
_SEEN: Final = 2.0


class Generations:
    """Follows the projections' control rows."""

    def __init__(self, clock: Callable[[], float], violated: Violated) -> None:
        self._clock = clock
        self._violated = violated
        #: Until when each projection's generation was the active one.
        self._until: dict[tuple[str, str], float] = {}

    def changed(self, _: Table, key: Key, before: Item | None, after: Item | None) -> None:
        """A write to a control row."""
        if before is None or after is None or "active" not in after:
            return
        projection, now = key[0], self._clock()
        if before["active"] != after["active"]:
            self._until[projection, before["active"]["N"]] = now
        for generation in set(before["fed"]["NS"]) - set(after["fed"]["NS"]):
            if now - self._until.get((projection, generation), 0.0) < _SEEN:
                self._violated(
                    "what readers may see is fed",
                    f"generation {generation} of {projection} is fed no more, and was active",
                )
        if after["active"]["N"] not in after["fed"]["NS"]:
            self._violated("what readers may see is fed", f"{projection}: {after['active']['N']} is active and not fed")
