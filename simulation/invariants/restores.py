"""A lost events table: what must not go on beside another one, and what must hold once a restore has ended."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from simulation.aws.tables.dynamodb import DynamoDB
from simulation.aws.tables.table import Key, Table
from simulation.aws.tables.values import Item
from simulation.aws.wire.network import Request
from simulation.invariants.history import Histories, Violated
from simulation.invariants.projections.checkpoints import Checkpoints
from simulation.invariants.projections.letters import Letters
from simulation.invariants.projections.rows import Rows
from simulation.invariants.records import event_hash
from simulation.kernel.scheduler import Process

_IDENTITY: Final = "#events-table"
#: Seconds after the table has its stream again in which a process may still end for what it lacked.
_AFTERMATH: Final = 30.0
#: Seconds within which a process takes notice of an answer.
_NOTICED: Final = 1.0


class Restores:
    """Follows the events table through its loss, its return as another one, and the restore."""

    def __init__(
        self,
        db: DynamoDB,
        histories: Histories,
        letters: Letters,
        checkpoints: Checkpoints,
        rows: Rows,
        now: Callable[[], float],
        current: Callable[[], Process | None],
        violated: Violated,
    ) -> None:
        """``current``: the process that runs at this moment."""
        self._db = db
        self._histories = histories
        self._letters = letters
        self._checkpoints = checkpoints
        self._rows = rows
        self._now = now
        self._current = current
        self._violated = violated
        self._asked: set[Process] = set()
        #: Since when each process knows that the table is another one.
        self._told: dict[Process, float] = {}
        self._streaming_at = 0.0
        #: Whether the table is gone; whether it is another one than the one recorded.
        self.away = False
        self.replaced = False
        #: Whether a loss is still to come, or to be made good.
        self.pending = False

    @property
    def unsettled(self) -> bool:
        """Whether the table is gone, or another one than everything derived is of."""
        return self.away or self.replaced

    @property
    def felt(self) -> bool:
        """Whether a call may have met a table that is gone, or has no stream."""
        return self.unsettled or self._now() < self._streaming_at + _AFTERMATH

    def gone(self) -> None:
        """The table is deleted."""
        self.away = True

    def back(self) -> None:
        """It is back as another one."""
        self.away, self.replaced = False, True

    def streaming(self) -> None:
        """It has a stream."""
        self._streaming_at = self._now()

    def called(self, operation: str, request: Request) -> None:
        """A call was answered: a process that has read which table was recorded, and then which there is, is told."""
        process = self._current()
        if process is None:
            return
        if operation == "dynamodb.GetItem" and request["Key"].get("projection", {}).get("S") == _IDENTITY:
            self._asked.add(process)
        elif operation == "dynamodb.DescribeTable" and request["TableName"].startswith("domain-events"):
            if process in self._asked:
                self._told.setdefault(process, self._now())
            self._asked.discard(process)

    def told(self) -> bool:
        """Whether this process knows that the table is another one than the recorded one: asked when work begins."""
        process = self._current()
        if process is None or process not in self._told:
            return False
        # A process that stood still has not had its time.
        return self._now() > max(self._told[process], process.paused_until) + _NOTICED

    def went_on(self, what: str, *, told: bool) -> None:
        """Work has ended with its effect. ``told``: whether the process had been told when it began."""
        if told and self.replaced:
            self._violated("nothing goes on beside another table", what)

    def recorded(self, _: Table, key: Key, before: Item | None, after: Item | None) -> None:
        """A write to the table of control rows: the record of which table it all is derived from ends a restore."""
        if key[0] != _IDENTITY or after is None or before is None or not self.unsettled:
            return
        if after["tableId"] == before["tableId"]:
            return
        self._told.clear()
        self.replaced = self.pending = False
        for why in self._left():
            self._violated("a restore brings everything in line", why)

    def read(self, projection: str, account: str, head: Any) -> None:
        """A reader sees a head (``version``, ``event_hash``) of an account, and the restore has ended."""
        items = self._histories.items[account]
        if head.version > len(items) or (head.version and event_hash(items[head.version - 1]) != head.event_hash):
            self._violated("no balance counts a lost event", f"{projection} {account} at {head.version}")

    def _left(self) -> list[str]:
        """What a restore has left that is of lost events."""
        left = [
            f"readers see generation {self._checkpoints.active(name)} of {name}, which is of the lost table"
            for name in self._rows.projections
            if self._checkpoints.outdated(name)
        ]
        left += [
            f"the letter {letter['id']['S']} is of a lost event"
            for letter in self._items("dead-letters-sim")
            if self._letters.is_lost(letter)
        ]
        derived = (("snapshots-sim", "version"), ("commands-sim", "sequenceNumber"))
        for table, number in derived:
            left += [
                f"{table} has what is of a lost event: {row['aggregateId']['S']} at {row[number]['N']}"
                for row in self._items(table)
                if "eventHash" in row and not self._is_stored(row, number)
            ]
        return left

    def _items(self, table: str) -> list[Item]:
        return list(self._db.tables[table].items())

    def _is_stored(self, row: Item, number: str) -> bool:
        items, at = self._histories.items[row["aggregateId"]["S"]], int(row[number]["N"])
        return at <= len(items) and event_hash(items[at - 1]) == row["eventHash"]["S"]
