"""What calls of DynamoDB cost, in capacity units, as its answers say."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

#: Operations whose units are read units; those of all others are write units. No statement of ours reads.
_READS: Final = frozenset({"GetItem", "BatchGetItem", "Query", "Scan", "TransactGetItems"})


class Units(NamedTuple):
    """Capacity units of DynamoDB."""

    read: float = 0.0
    written: float = 0.0

    def plus(self, other: "Units") -> "Units":
        """Both together."""
        return Units(self.read + other.read, self.written + other.written)

    def __str__(self) -> str:
        return f"{self.read:,.0f} read and {self.written:,.0f} write units"


class CapacityUnits:
    """The units that were consumed, by table, as far as answers tell: not those of a refusal. For several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._total = Units()
        self._fresh: dict[str, Units] = {}

    @property
    def total(self) -> Units:
        """All so far, over all tables."""
        return self._total

    def add(self, consumed: Mapping[str, Units]) -> None:
        """Count units, by table."""
        with self._lock:
            for table, units in consumed.items():
                self._total = self._total.plus(units)
                self._fresh[table] = self._fresh.get(table, Units()).plus(units)

    def take(self) -> dict[str, Units]:
        """What was counted since the last call, by table."""
        with self._lock:
            taken, self._fresh = self._fresh, {}
            return taken


@contextmanager
def metered(dynamodb: "DynamoDBClient") -> Iterator[CapacityUnits]:
    """Count what a client's calls consume while the block runs, whoever makes them."""
    units, events = CapacityUnits(), dynamodb.meta.events

    def ask(params: dict[str, Any], model: Any, **_: object) -> None:
        if "ReturnConsumedCapacity" in model.input_shape.members:
            params["ReturnConsumedCapacity"] = "TOTAL"

    def count(parsed: dict[str, Any], model: Any, **_: object) -> None:
        consumed = parsed.get("ConsumedCapacity", [])
        for each in consumed if isinstance(consumed, list) else [consumed]:
            amount = float(each.get("CapacityUnits", 0))
            units.add({each.get("TableName", ""): Units(amount) if model.name in _READS else Units(written=amount)})

    hooks = (("provide-client-params.dynamodb", ask), ("after-call.dynamodb", count))
    for event, hook in hooks:
        events.register(event, hook)
    try:
        yield units
    finally:
        for event, hook in hooks:
            events.unregister(event, hook)
