"""How many bytes DynamoDB counts for an item, and what a read of it costs. AWS, "DynamoDB item sizes and formats"."""

import math
from collections.abc import Iterable, Mapping
from typing import Any, Final

#: Bytes that one read unit reads, strongly consistent; half a unit reads them eventually consistent.
_READ: Final = 4096


def item_size(item: Mapping[str, Mapping[str, Any]]) -> int:
    """Names and values in UTF-8; a number about a byte for two digits, and one more; lists and maps three more."""
    return sum(len(name.encode()) + _value_size(value) for name, value in item.items())


def query_units(items: Iterable[Mapping[str, Any]], *, consistent: bool) -> float:
    """What one page of a Query or Scan costs that read these items and no others: their sizes summed, then rounded up.

    A page without items costs one.
    """
    units = max(1, math.ceil(sum(map(item_size, items)) / _READ))
    return float(units) if consistent else units / 2


def _value_size(value: Mapping[str, Any]) -> int:
    ((kind, held),) = value.items()
    match kind:
        case "S":
            return len(held.encode())
        case "N":
            return math.ceil(len(held.lstrip("-").replace(".", "")) / 2) + 1
        case "B":
            return len(held)
        case "M":
            return 3 + sum(len(name.encode()) + 1 + _value_size(each) for name, each in held.items())
        case "L":
            return 3 + sum(1 + _value_size(each) for each in held)
        case "SS" | "NS":
            return sum(len(each.encode()) for each in held)
        case _:
            return 1
