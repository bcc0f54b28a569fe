"""Backfills: a complete one has put on the stream whatever was stored when it began."""

from __future__ import annotations

from collections.abc import Callable

from simulation.aws.streams.kinesis import Stream
from simulation.aws.streams.shard_log import Shard
from simulation.aws.tables.table import Key, Table
from simulation.aws.tables.values import Item
from simulation.invariants.history import Histories, Violated
from simulation.invariants.records import event_of

_ALL = "backfill~all accounts"


class Backfills:
    """Follows the row of the backfill of all accounts: it is there from its beginning to its end, through any kill."""

    def __init__(self, histories: Histories, stream: Stream, restoring: Callable[[], bool], violated: Violated) -> None:
        """``restoring``: whether it is a restore that runs at this moment."""
        self._restoring = restoring
        self._histories = histories
        self._violated = violated
        self._missing: set[tuple[str, int]] = set()
        stream.listeners.append(self._arrived)

    def go_back(self) -> None:
        """Events were lost: what is under way has begun on another table."""
        self._missing = set()

    def _arrived(self, _: Shard, __: str, data: bytes) -> None:
        event = event_of(data)
        if event is not None:
            self._missing.discard(event)

    def changed(self, _: Table, key: Key, before: Item | None, after: Item | None) -> None:
        """A write to the bridge's control table."""
        if key[0] != _ALL:
            return
        if before is None:
            self._missing = {
                (account, number)
                for account, items in self._histories.items.items()
                for number in range(1, len(items) + 1)
            }
        elif after is None and self._missing and not self._restoring():
            self._violated("a backfill leaves nothing out", f"it ended without {sorted(self._missing)[:5]}")
