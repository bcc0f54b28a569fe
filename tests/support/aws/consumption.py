"""What DynamoDB charges for the calls of a client, counted in the client's own event hooks."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ledger.runtime.aws import Clients


class Consumption:
    """Requests by operation, and the units that they took."""

    def __init__(self) -> None:
        self.requests: Counter[str] = Counter()
        self.write_units = 0.0
        self.read_units = 0.0

    def clear(self) -> None:
        self.__init__()  # type: ignore[misc]

    def ask(self, params: dict[str, Any], model: Any, **_: Any) -> None:
        self.requests[model.name] += 1
        if "ReturnConsumedCapacity" in model.input_shape.members:
            params["ReturnConsumedCapacity"] = "TOTAL"

    def count(self, parsed: dict[str, Any], model: Any, **_: Any) -> None:
        consumed = parsed.get("ConsumedCapacity", [])
        for table in consumed if isinstance(consumed, list) else [consumed]:
            if model.name in {"PutItem", "TransactWriteItems"}:
                self.write_units += table["CapacityUnits"]
            else:
                self.read_units += table["CapacityUnits"]


@contextmanager
def consumption(clients: Clients) -> Iterator[Consumption]:
    """Count the DynamoDB calls of ``clients`` in the block."""
    counts, events = Consumption(), clients.dynamodb.meta.events
    events.register("provide-client-params.dynamodb", counts.ask)
    events.register("after-call.dynamodb", counts.count)
    try:
        yield counts
    finally:
        events.unregister("provide-client-params.dynamodb", counts.ask)
        events.unregister("after-call.dynamodb", counts.count)
