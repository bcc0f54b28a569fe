"""The events and the snapshots of one account answered from memory: **not** AWS. For benchmarks alone.

The embedded AWS goes through a whole history for each page of it, so that a load of 100,000 events would measure that.
"""

from collections.abc import Iterable
from typing import Any

import orjson

from bench.alone.fake_aws import answer, tables
from ledger.store.tables import Names, store_specs

Item = dict[str, Any]


class MemoryEvents:
    """The event store's tables of a profile, with a history."""

    def __init__(self, names: Names, history: Iterable[Item]) -> None:
        self._names = names
        self._memory = tables(store_specs(names))
        for item in history:
            self._put(names.events, item)

    def put_snapshot(self, item: Item) -> None:
        """Store a snapshot in the place of the one before."""
        self._put(self._names.snapshots, item)

    def answer_for(self, dynamodb: Any) -> None:
        """Answer this client's Query and GetItem from now on."""
        answer(dynamodb, "Query", lambda asked: orjson.dumps(self._memory.query(asked)))
        answer(dynamodb, "GetItem", lambda asked: orjson.dumps(self._memory.get_item(asked)))

    def _put(self, name: str, item: Item) -> None:
        table = self._memory.table(name)
        table.put(table.key_of(item), item)
