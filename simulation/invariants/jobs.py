"""Rebuilds and backfills: a job that was taken over is never again written to by the process that has lost it."""

from __future__ import annotations

from collections import defaultdict

from simulation.aws.tables.table import Key, Table
from simulation.aws.tables.values import Item
from simulation.invariants.history import Violated


class Jobs:
    """Follows who runs each job, in one table."""

    def __init__(self, owner: str, violated: Violated) -> None:
        """``owner``: the attribute that names the process."""
        self._owner = owner
        self._violated = violated
        self._replaced: defaultdict[Key, set[str]] = defaultdict(set)

    def changed(self, table: Table, key: Key, before: Item | None, after: Item | None) -> None:
        """A write to the table."""
        was, now = (row[self._owner]["S"] if row and self._owner in row else "" for row in (before, after))
        if not was or was == now:
            return
        if now in self._replaced[key]:
            self._violated(
                "a job has one owner", f"{table.name} {key[0]}: {now} writes to it, and had lost it to {was}"
            )
        self._replaced[key].add(was)
