"""Leases of shards: children come after their parents, in the projectors' table and in the relay's."""

from __future__ import annotations

from collections.abc import Callable

from simulation.aws.tables.table import Key, Table
from simulation.aws.tables.values import Item
from simulation.invariants.history import Violated

_END = "SHARD_END"


class Leases:
    """Follows a lease table."""

    def __init__(self, listed: Callable[[str], bool], violated: Violated) -> None:
        """``listed``: whether the stream still has a shard. Nobody can read one that has left it."""
        self._listed = listed
        self._violated = violated

    def changed(self, table: Table, key: Key, before: Item | None, after: Item | None) -> None:
        """A write to the table. Whoever checkpoints a shard has read of it."""
        if before is None or after is None or before["checkpoint"] == after["checkpoint"]:
            return
        for parent in after.get("parentShardId", {}).get("SS", ()):
            row = table.get((parent, key[1]))
            if row is not None and row["checkpoint"]["S"] != _END and self._listed(parent.rpartition("/")[2]):
                self._violated(
                    "children come after parents",
                    f"{key[0]} is read up to {after['checkpoint']['S']}, {parent} to {row['checkpoint']['S']}",
                )
