from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from ledger.runtime.aws import Clients
from ledger.store.event_store import EventStore
from ledger.store.tables import Names


class Calls:
    """The API calls of a DynamoDB client since ``clear``, by operation, and the write units they took.

    ``stale_reads`` counts the queries that may miss the latest events; an emulator would not miss any.
    """

    def __init__(self) -> None:
        self.by_operation: Counter[str] = Counter()
        self.write_units = 0.0
        self.stale_reads = 0

    def clear(self) -> None:
        self.by_operation.clear()
        self.write_units = 0.0

    def ask(self, params: dict[str, Any], model: Any, **_: Any) -> None:
        self.by_operation[model.name] += 1
        self.stale_reads += model.name == "Query" and not params.get("ConsistentRead")
        if "ReturnConsumedCapacity" in model.input_shape.members:
            params["ReturnConsumedCapacity"] = "TOTAL"

    def count(self, parsed: dict[str, Any], model: Any, **_: Any) -> None:
        if model.name not in {"PutItem", "TransactWriteItems"}:
            return
        consumed = parsed.get("ConsumedCapacity", [])
        for table in consumed if isinstance(consumed, list) else [consumed]:
            self.write_units += table["CapacityUnits"]


@pytest.fixture
def store(clients: Clients, ledger_tables: Names) -> EventStore:
    return EventStore(clients.dynamodb, ledger_tables.events)


@pytest.fixture
def calls(clients: Clients, store: EventStore) -> Iterator[Calls]:
    """Counts from the test's first call on: the tables are there already."""
    calls = Calls()
    events = clients.dynamodb.meta.events
    events.register("provide-client-params.dynamodb", calls.ask)
    events.register("after-call.dynamodb", calls.count)
    yield calls
    events.unregister("provide-client-params.dynamodb", calls.ask)
    events.unregister("after-call.dynamodb", calls.count)
