"""Dead letters: none is ever lost, and a skip is for good."""

from __future__ import annotations

from simulation.aws.tables.table import Key, Table
from simulation.aws.tables.values import Item
from simulation.invariants.history import Violated
from simulation.invariants.projections.rows import Rows


class Letters:
    """Follows the table of dead letters."""

    def __init__(self, rows: Rows, violated: Violated) -> None:
        """``rows`` is told of each event that is skipped."""
        self._rows = rows
        self._violated = violated
        self._states: dict[str, str] = {}

    def changed(self, _: Table, key: Key, __: Item | None, after: Item | None) -> None:
        """A write to the table."""
        if after is None:
            self._violated("a letter stays", f"{key[0]} was deleted")
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

    def state(self, letter: str) -> str:
        """Open, redriven or skipped; "" when there is none."""
        return self._states.get(letter, "")
