"""DynamoDB's values: which are allowed, how they compare, how many bytes they count.

AWS, "DynamoDB item sizes and formats", "Supported data types and naming rules".
"""

from __future__ import annotations

import base64
import math
from collections.abc import Iterable, Mapping
from decimal import Context, Decimal, Inexact, InvalidOperation, Overflow
from functools import lru_cache
from typing import Any, Final

from simulation.aws.errors import validation

Item = dict[str, Any]

#: Bytes that one read unit reads, strongly consistent; half a unit reads them eventually consistent. And that one
#: write unit writes.
READ_UNIT: Final = 4096
WRITE_UNIT: Final = 1024

#: Numbers have 38 digits, and magnitudes from 1E-130 to 9.9...E+125.
_EXACT: Final = Context(prec=38, traps=[Inexact, InvalidOperation, Overflow])
_EXPONENTS: Final = range(-130, 126)


@lru_cache(maxsize=65_536)
def number(text: str) -> Decimal | int:
    """A number of DynamoDB's. Raises ValidationException for a text that is none, or one out of range."""
    if text.isascii() and text.lstrip("-").isdigit() and len(text) < 38:
        return int(text)
    try:
        found = _EXACT.create_decimal(text)
    except (InvalidOperation, Inexact):
        raise validation(f"The parameter cannot be converted to a numeric value: {text}") from None
    if not found.is_finite() or (found and found.adjusted() not in _EXPONENTS):
        raise validation("Number overflow or underflow")
    return found


@lru_cache(maxsize=65_536)
def canonical(text: str) -> str:
    """A number as DynamoDB writes it: without leading and trailing zeroes. Raises ValidationException."""
    value = number(text)
    return str(value) if isinstance(value, int) else format(value.normalize(_EXACT) if value else Decimal(0), "f")


def total(left: str, right: str, sign: int) -> str:
    """The sum of two numbers, or with a ``sign`` of -1 their difference. Raises ValidationException."""
    one, other = number(left), number(right)
    if isinstance(one, int) and isinstance(other, int):
        return canonical(str(one + sign * other))
    try:
        return canonical(str(_EXACT.add(Decimal(one), sign * Decimal(other))))
    except Inexact:
        raise validation("Number overflow. Attempting to store a number with more than 38 digits") from None


def comparable(value: Mapping[str, Any]) -> tuple[str, Any]:
    """A value's type, and what it compares by within that type."""
    ((kind, held),) = value.items()
    match kind:
        case "N":
            return kind, number(held)
        case "B":
            return kind, base64.b64decode(held)
        case "SS" | "BS":
            return kind, frozenset(held)
        case "NS":
            return kind, frozenset(map(number, held))
        case "M":
            return kind, {name: comparable(each) for name, each in held.items()}
        case "L":
            return kind, [comparable(each) for each in held]
        case _:
            return kind, held


def equal(left: Mapping[str, Any], right: Mapping[str, Any]) -> bool:
    """Whether two values are the same value."""
    return left == right or comparable(left) == comparable(right)


def stored(item: Item) -> tuple[Item, int]:
    """An item as DynamoDB keeps it, and its size. Raises ValidationException for a value that it does not take.

    It is the same object where DynamoDB keeps it as it came.
    """
    size, changed = 0, None
    for name, value in item.items():
        size += len(name) if name.isascii() else len(name.encode())
        text = value.get("S")
        if text is not None:
            size += len(text) if text.isascii() else len(text.encode())
            continue
        digits = value.get("N", "")
        if _is_plain(digits):
            size += (len(digits) + 1) // 2 + 1
            continue
        ((kind, held),) = value.items()
        kept = _kept(kind, held)
        size += _held_size(kind, kept)
        if kept is not held:
            changed = dict(item) if changed is None else changed
            changed[name] = {kind: kept}
    return (item if changed is None else changed), size


@lru_cache(maxsize=65_536)
def _is_plain(text: str) -> bool:
    """Whether it is a natural number as DynamoDB writes it."""
    return text.isascii() and text.isdigit() and len(text) < 38 and (text[0] != "0" or text == "0")


def _kept(kind: str, held: Any) -> Any:
    match kind:
        case "N":
            text = canonical(held)
            return held if text == held else text
        case "SS" | "NS" | "BS":
            texts = list(map(canonical, held)) if kind == "NS" else held
            if not texts or len(set(texts)) < len(texts):
                raise validation("One or more parameter values were invalid: a set is empty or contains duplicates")
            return sorted(texts, key=number) if kind == "NS" else sorted(texts)
        case "M":
            return stored(held)[0]
        case "L":
            return [{each: _kept(each, inner) for each, inner in value.items()} for value in held]
        case _:
            return held


def item_size(item: Mapping[str, Mapping[str, Any]]) -> int:
    """Names and values in UTF-8; a number about a byte for two digits, and one more; lists and maps three more."""
    return sum(len(name.encode()) + _value_size(value) for name, value in item.items())


def query_units(items: Iterable[Mapping[str, Any]], *, consistent: bool) -> float:
    """What one page of a Query or Scan costs that read these items and no others: their sizes summed, then rounded up.

    A page without items costs one.
    """
    return read_units(sum(map(item_size, items)), consistent=consistent)


def read_units(size: int, *, consistent: bool) -> float:
    """What it costs to read so many bytes."""
    units = max(1, -(-size // READ_UNIT))
    return float(units) if consistent else units / 2


def write_units(size: int) -> float:
    """What it costs to write so many bytes."""
    return float(max(1, -(-size // WRITE_UNIT)))


def _value_size(value: Mapping[str, Any]) -> int:
    ((kind, held),) = value.items()
    return _held_size(kind, held)


def _held_size(kind: str, held: Any) -> int:
    match kind:
        case "S":
            return len(held.encode())
        case "N":
            return math.ceil(len(held.lstrip("-").replace(".", "")) / 2) + 1
        case "B":
            return len(base64.b64decode(held))
        case "M":
            return 3 + sum(len(name.encode()) + 1 + _value_size(each) for name, each in held.items())
        case "L":
            return 3 + sum(1 + _value_size(each) for each in held)
        case "SS" | "NS" | "BS":
            return sum(_held_size(kind[0], each) for each in held)
        case _:
            return 1
