"""The events table as it must be: numbers 1..n, nothing changed. Everything else is held to it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any

from simulation.aws.tables.table import Key, Table
from simulation.aws.tables.values import Item
from simulation.invariants.fold import State, UnfoldableError, fold

Violated = Callable[[str, str], None]


class Histories:
    """Every account's history, followed write by write."""

    def __init__(self, violated: Violated) -> None:
        self._violated = violated
        self.items: defaultdict[str, list[Item]] = defaultdict(list)
        #: The account after each of its events; None from the first on that nobody can read.
        self.states: defaultdict[str, list[State | None]] = defaultdict(lambda: [State()])
        #: Which events each correlation id has stored.
        self.stored: defaultdict[str, list[tuple[str, int]]] = defaultdict(list)

    def version(self, account: str) -> int:
        """How many events are stored."""
        return len(self.items[account])

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
        self.items[account].append(after)
        self.states[account].append(_next(self.states[account][-1], after))
        self.stored[after["correlationId"]["S"]].append((account, number))


def _next(state: State | None, item: Mapping[str, Any]) -> State | None:
    if state is None:
        return None
    try:
        return fold(state, item, strict=False)
    except UnfoldableError:
        return None
