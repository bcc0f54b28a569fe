"""Flips: workers take no account further in the generation that readers leave than in the one that they are shown.

So no reader sees a version go back, however near the flip it reads. What operators' commands fold on in one generation
alone (a repair, say) does not count.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Final

from simulation.aws.tables.dynamodb import DynamoDB
from simulation.aws.tables.table import NO_SORT, Key, Table
from simulation.aws.tables.values import Item
from simulation.invariants.history import Violated
from simulation.invariants.projections.rows import Rows

#: Seconds for which a reader may go by a control row that it has read.
_SEEN: Final = 2.0
#: The sort key of a head among parts.
_HEAD: Final = "!"


class Flips:
    """Compares the generation that readers leave with the one that they are shown next."""

    def __init__(
        self,
        db: DynamoDB,
        rows: Rows,
        clock: Callable[[], float],
        working: Callable[[], bool],
        violated: Violated,
        profile: str,
    ) -> None:
        """``working``: whether it is a worker that runs at this moment."""
        self._db = db
        self._rows = rows
        self._working = working
        self._clock = clock
        self._violated = violated
        self._profile = profile
        #: By the table that readers leave: the one that they are shown, and when that was.
        self._flips: dict[str, tuple[Table, float]] = {}
        #: By table and account: the head's version that a worker has written last.
        self._fed: defaultdict[str, dict[str, int]] = defaultdict(dict)

    def flipped(self, _: Table, key: Key, before: Item | None, after: Item | None) -> None:
        """A write to a control row."""
        if before is None or after is None or before.get("active") == after.get("active"):
            return
        old, new = (self._db.tables.get(f"{key[0]}-{self._profile}-{row['active']['N']}") for row in (before, after))
        if old is None or new is None or old.name in self._rows.doomed:
            return
        self._flips[old.name] = new, self._clock()
        for account, version in self._fed[old.name].items():
            self._compare(old, new, account, version)

    def changed(self, table: Table, key: Key, _: Item | None, after: Item | None) -> None:
        """A write to a row of a read model."""
        if after is None or key[1] not in {NO_SORT, _HEAD} or not self._working():
            return
        account, version = key[0], int(after["version"]["N"])
        self._fed[table.name][account] = version
        flip = self._flips.get(table.name)
        if flip is not None and self._clock() - flip[1] < _SEEN:
            self._compare(table, flip[0], account, version)

    def _compare(self, old: Table, new: Table, account: str, version: int) -> None:
        head = new.get((account, _HEAD)) or new.get((account, NO_SORT))
        if head is not None and "halted" in head:
            return
        shown = int(head["version"]["N"]) if head is not None else 0
        if shown < version:
            self._violated(
                "no reader sees a version go back", f"{old.name} has {account} at {version}, {new.name} at {shown}"
            )
