"""The events table as it must be: numbers 1..n, nothing changed. Everything else is held to it."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any, Final

from simulation.aws.tables.table import Key, Table
from simulation.aws.tables.values import Item
from simulation.invariants.fold import State, UnfoldableError, fold, type_of
from simulation.invariants.records import event_hash, event_in

Violated = Callable[[str, str], None]

#: How the correlation ids begin of what is stored past every writer.
POISON: Final = "poison-"


class Histories:
    """Every account's history, followed write by write."""

    def __init__(self, clock: Callable[[], float], violated: Violated) -> None:
        self._clock = clock
        self._violated = violated
        self._times: defaultdict[str, list[float]] = defaultdict(list)
        #: How often events were lost, and the versions that accounts had after the last time.
        self.losses = 0
        self.kept: dict[str, int] = {}
        self.items: defaultdict[str, list[Item]] = defaultdict(list)
        #: The account after each of its events; None from the first on that nobody can read.
        self.states: defaultdict[str, list[State | None]] = defaultdict(lambda: [State()])
        #: Which events each correlation id has stored.
        self.stored: defaultdict[str, list[tuple[str, int]]] = defaultdict(list)

    def version(self, account: str) -> int:
        """How many events are stored."""
        return len(self.items[account])

    def holds(self, item: Item) -> bool:
        """Whether this very event is stored, and was not lost."""
        account, number = item["aggregateId"]["S"], int(item["sequenceNumber"]["N"])
        items = self.items[account]
        return number <= len(items) and event_hash(items[number - 1]) == event_hash(item)

    def was_lost(self, data: bytes) -> bool:
        """Whether a record is of an event that is not stored any more."""
        if not self.losses:
            return False
        item = event_in(data)
        return item is not None and not self.holds(item)

    def go_back(self, moment: float) -> None:
        """What was stored after a moment is lost: whatever a transaction stores is stored at one moment."""
        self.losses += 1
        self.stored.clear()
        for account, items in self.items.items():
            kept = self.kept[account] = bisect_right(self._times[account], moment)
            del items[kept:], self._times[account][kept:], self.states[account][kept + 1 :]
            for number, item in enumerate(items, start=1):
                self.stored[item["correlationId"]["S"]].append((account, number))

    def changed(self, table: Table, key: Key, before: Item | None, after: Item | None) -> None:
        """A write to the events table."""
        account, number = key
        if before is not None:
            self._violated("append-only", f"event {number} of {account} was changed or deleted")
            return
        assert after is not None
        if number != len(self.items[account]) + 1:
            self._violated(
                "no hole, no overwrite", f"event {number} of {account} was stored after {len(self.items[account])}"
            )
            return
        kind, by = after["aggregateType"]["S"], after["correlationId"]["S"]
        if kind != type_of(account) and not by.startswith(POISON):
            self._violated("no key is of two types", f"event {number} of {account} is of type {kind}")
            return
        self.items[account].append(after)
        self._times[account].append(self._clock())
        self.states[account].append(_next(self.states[account][-1], after))
        self.stored[after["correlationId"]["S"]].append((account, number))


def _next(state: State | None, item: Mapping[str, Any]) -> State | None:
    if state is None:
        return None
    try:
        return fold(state, item, strict=False)
    except UnfoldableError:
        return None
