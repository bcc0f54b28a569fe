"""Key conditions of a query: one partition, and a range of its sort keys."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from simulation.aws.errors import validation
from simulation.aws.tables.expressions.reader import Names, Reader, Values

_SIGNS: Final = frozenset({"=", "<", "<=", ">", ">="})


@dataclass(frozen=True, slots=True)
class KeyRange:
    """Sort keys from ``low`` to ``high``, values of DynamoDB (None: no bound), each itself included or not.

    ``prefix``: they begin with ``low``.
    """

    low: Any = None
    high: Any = None
    inclusive: tuple[bool, bool] = (True, True)
    prefix: bool = False


WHOLE: Final = KeyRange()


class KeyCondition:
    """A key condition. ``names``, ``values``: what it takes from the request."""

    __slots__ = ("_terms", "names", "values")

    def __init__(self, text: str) -> None:
        reader = Reader(text)
        self._terms = _terms(reader)
        reader.end()
        self.names, self.values = frozenset(reader.names), frozenset(reader.values)

    def bind(self, keys: tuple[str, ...], names: Names, values: Values) -> tuple[Any, KeyRange]:
        """The value of the partition key, and the range. Raises ValidationException."""
        hashed, ranged = None, WHOLE
        asked = []
        for token, sign, tokens in self._terms:
            name = names[token] if token[0] == "#" else token
            asked.append(name)
            first, last = values[tokens[0]], values[tokens[-1]]
            if name == keys[0] and sign == "=":
                hashed = first
            elif name == keys[0]:
                raise validation("Query key condition not supported")
            else:
                ranged = _range(sign, first, last)
        if hashed is None or len(set(asked)) < len(asked) or not set(asked) <= set(keys):
            raise validation("Query condition missed key schema element, or has one too many")
        return hashed, ranged


@lru_cache(maxsize=1024)
def key_condition(text: str) -> KeyCondition:
    """Compile a key condition. Raises ValidationException, NotModelledError."""
    return KeyCondition(text)


def _terms(reader: Reader) -> list[tuple[str, str, tuple[str, ...]]]:
    terms = _term(reader)
    while reader.accept("AND"):
        terms += _term(reader)
    return terms


def _term(reader: Reader) -> list[tuple[str, str, tuple[str, ...]]]:
    if reader.accept("("):
        terms = _terms(reader)
        reader.expect(")")
        return terms
    if reader.peek() == "begins_with":
        reader.take()
        reader.expect("(")
        (name,) = reader.path()
        reader.expect(",")
        value = reader.value()
        reader.expect(")")
        return [(name, "begins_with", (value,))]
    (name,) = reader.path()
    if reader.accept("BETWEEN"):
        low = reader.value()
        reader.expect("AND")
        return [(name, "between", (low, reader.value()))]
    sign = reader.take()
    if sign not in _SIGNS:
        raise validation(f"Invalid operator used in KeyConditionExpression: {sign}")
    return [(name, sign, (reader.value(),))]


def _range(sign: str, first: Any, last: Any) -> KeyRange:
    match sign:
        case "=":
            return KeyRange(first, first)
        case "<" | "<=":
            return KeyRange(None, first, (True, sign == "<="))
        case ">" | ">=":
            return KeyRange(first, None, (sign == ">=", True))
        case "between":
            return KeyRange(first, last)
        case _:
            return KeyRange(first, None, prefix=True)
