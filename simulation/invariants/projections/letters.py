"""Dead letters: none is ever lost, and a skip is for good."""

from __future__ import annotations

import base64
from collections.abc import Callable

from simulation.aws.tables.table import Key, Table
from simulation.aws.tables.values import Item
from simulation.invariants.history import Histories, Violated
from simulation.invariants.projections.rows import Rows
from simulation.invariants.records import event_in


class Letters:
    """Follows the table of dead letters."""

    def __init__(self, histories: Histories, rows: Rows, restoring: Callable[[], bool], violated: Violated) -> None:
        """``rows`` is told of each event that is skipped. ``restoring``: whether it is a restore that runs."""
        self._histories = histories
        self._rows = rows
        self._restoring = restoring
        self._violated = violated
        self._states: dict[str, str] = {}

    def changed(self, _: Table, key: Key, before: Item | None, after: Item | None) -> None:
        """A write to the table."""
        if after is None:
            if before is not None:
                self._dropped(key, before)
            return
        was = self._states.get(key[0])
        now = self._states[key[0]] = str(after["state"]["S"]) if "state" in after else "open"
        skipped = now == "skipped"
        if was == "skipped" and not skipped:
            self._violated("a skip is for good", f"{key[0]} was skipped, and is {now}")
        if skipped and "projection" in after:
            self._rows.skipped.add(
                (after["projection"]["S"], after["accountId"]["S"], int(after["sequenceNumber"]["N"]))
            )

    def _dropped(self, key: Key, letter: Item) -> None:
        if not self._restoring() or not self.is_lost(letter):
            self._violated("a letter stays", f"{key[0]} was deleted")
            return
        del self._states[key[0]]
        self._rows.skipped.discard(
            (letter["projection"]["S"], letter["accountId"]["S"], int(letter["sequenceNumber"]["N"]))
        )

    def is_lost(self, letter: Item) -> bool:
        """Whether a letter is about an event that is not stored, rather than about a record."""
        if "projection" not in letter:
            return False
        event = event_in(base64.b64decode(letter["raw"]["B"]))
        return event is None or not self._histories.holds(event)

    def state(self, letter: str) -> str:
        """Open, redriven or skipped; "" when there is none."""
        return self._states.get(letter, "")
