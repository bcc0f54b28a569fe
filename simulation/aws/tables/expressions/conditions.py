"""Conditions and filters, compiled to functions."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final

from simulation.aws.errors import NotModelledError, validation
from simulation.aws.tables.expressions.reader import Names, Operand, Path, Reader, Values, operand, resolved
from simulation.aws.tables.values import Item, comparable, equal

Holds = Callable[[Item, Names, Values], bool]

_ORDERED: Final = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
_ORDERED_KINDS: Final = frozenset({"S", "N", "B"})
#: Functions of DynamoDB's that are not made here.
_OTHERS: Final = frozenset({"attribute_type", "contains", "size"})


class Condition:
    """A condition. ``names``, ``values``: what it takes from the request."""

    __slots__ = ("_paths", "holds", "names", "values")

    def __init__(self, text: str) -> None:
        reader = _Reader(text)
        self.holds = _any_of(reader)
        reader.end()
        self.names, self.values = frozenset(reader.names), frozenset(reader.values)
        self._paths = tuple(reader.paths)

    def paths(self, names: Names) -> list[Path]:
        """The paths of names that it reads."""
        return [resolved(path, names) for path in self._paths]


@lru_cache(maxsize=1024)
def condition(text: str) -> Condition:
    """Compile a condition or a filter. Raises ValidationException, NotModelledError."""
    return Condition(text)


class _Reader(Reader):
    """Remembers the paths that it has read."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.paths: list[Path] = []

    def path(self) -> Path:
        path = super().path()
        self.paths.append(path)
        return path


def _any_of(reader: _Reader) -> Holds:
    holds = _all_of(reader)
    while reader.accept("OR"):
        holds = _either(holds, _all_of(reader))
    return holds


def _all_of(reader: _Reader) -> Holds:
    holds = _negated(reader)
    while reader.accept("AND"):
        holds = _both(holds, _negated(reader))
    return holds


def _either(one: Holds, other: Holds) -> Holds:
    return lambda item, names, values: one(item, names, values) or other(item, names, values)


def _both(one: Holds, other: Holds) -> Holds:
    return lambda item, names, values: one(item, names, values) and other(item, names, values)


def _negated(reader: _Reader) -> Holds:
    if reader.accept("NOT"):
        inner = _negated(reader)
        return lambda *seen: not inner(*seen)
    if reader.peek() == "(":
        reader.take()
        if reader.peek() == "(" and _closes(reader):
            raise reader.wrong("The expression has redundant parentheses")
        inner = _any_of(reader)
        reader.expect(")")
        return inner
    return _comparison(reader)


def _closes(reader: Reader) -> bool:
    """Whether the parenthesis that begins here ends just before another one ends."""
    depth, ahead = 0, 0
    while sign := reader.peek(ahead):
        depth += {"(": 1, ")": -1}.get(sign, 0)
        ahead += 1
        if depth == 0:
            return reader.peek(ahead) == ")"
    return False


def _comparison(reader: _Reader) -> Holds:
    if reader.peek(1) == "(":
        name = reader.take()
        if name in _FUNCTIONS:
            return _FUNCTIONS[name](reader)
        if name in _OTHERS:
            raise NotModelledError(f"the function {name}")
        raise reader.wrong(f"Invalid function name; function: {name}")
    is_value, begin = reader.peek().startswith(":"), len(reader.paths)
    left = operand(reader)
    if reader.accept("BETWEEN"):
        return _between(reader, left)
    if reader.accept("IN"):
        raise NotModelledError("the operator IN")
    sign = reader.take()
    if sign not in _ORDERED and sign not in {"=", "<>"}:
        raise reader.wrong(f"Syntax error; token: {sign}")
    literals = (is_value, reader.peek().startswith(":"))
    right = operand(reader)
    holds = _ordered(left, _ORDERED[sign], right, literals) if sign in _ORDERED else _same(left, right, sign == "=")
    return holds if any(literals) else _distinct(holds, *reader.paths[begin:])


def _distinct(holds: Holds, one: Path, other: Path) -> Holds:
    """A comparison of two attributes, which have to be two."""

    def checked(item: Item, names: Names, values: Values) -> bool:
        if resolved(one, names) == resolved(other, names):
            raise validation("The first operand must be distinct from the remaining operands for this operator")
        return holds(item, names, values)

    return checked


def _same(left: Operand, right: Operand, wanted: bool) -> Holds:
    def holds(item: Item, names: Names, values: Values) -> bool:
        one, other = left(item, names, values), right(item, names, values)
        if one is None or other is None:
            return not wanted
        return (one == other or equal(one, other)) == wanted

    return holds


def _ordered(left: Operand, compare: Callable[[Any, Any], bool], right: Operand, literals: tuple[bool, bool]) -> Holds:
    def holds(item: Item, names: Names, values: Values) -> bool:
        one, other = left(item, names, values), right(item, names, values)
        for each, literal in ((one, literals[0]), (other, literals[1])):
            if literal and each.keys().isdisjoint(_ORDERED_KINDS):
                raise validation("Incorrect operand type for operator or function")
        if one is None or other is None:
            return False
        (kind, this), (other_kind, that) = comparable(one), comparable(other)
        return kind == other_kind and kind in _ORDERED_KINDS and compare(this, that)

    return holds


def _between(reader: _Reader, path: Operand) -> Holds:
    lower = reader.peek().startswith(":")
    low = operand(reader)
    reader.expect("AND")
    upper = reader.peek().startswith(":")
    high = operand(reader)
    at_least = _ordered(path, operator.ge, low, (False, lower))
    at_most = _ordered(path, operator.le, high, (False, upper))

    def holds(item: Item, names: Names, values: Values) -> bool:
        if lower and upper:
            (kind, first), (other, last) = comparable(low(item, names, values)), comparable(high(item, names, values))
            if kind != other or kind not in _ORDERED_KINDS or first > last:
                raise validation("The BETWEEN operator takes two values of one type, the lower one first")
        return at_least(item, names, values) and at_most(item, names, values)

    return holds


def _exists(reader: _Reader) -> Holds:
    path = _attribute(reader)
    return lambda *seen: path(*seen) is not None


def _not_exists(reader: _Reader) -> Holds:
    path = _attribute(reader)
    return lambda *seen: path(*seen) is None


def _attribute(reader: _Reader) -> Operand:
    reader.expect("(")
    if reader.peek().startswith(":"):
        raise reader.wrong("Operator or function requires a document path")
    path = operand(reader)
    reader.expect(")")
    return path


def _begins_with(reader: _Reader) -> Holds:
    reader.expect("(")
    path = operand(reader)
    reader.expect(",")
    literal = reader.peek().startswith(":")
    prefix = operand(reader)
    reader.expect(")")

    def begins(item: Item, names: Names, values: Values) -> bool:
        value, wanted = path(item, names, values), prefix(item, names, values)
        if literal and wanted.keys().isdisjoint({"S", "B"}):
            raise validation("Incorrect operand type for operator or function; operator or function: begins_with")
        if value is None or wanted is None:
            return False
        (kind, held), (other, start) = comparable(value), comparable(wanted)
        return kind == other and kind in {"S", "B"} and bool(held.startswith(start))

    return begins


_FUNCTIONS: Final[Mapping[str, Callable[[_Reader], Holds]]] = {
    "attribute_exists": _exists,
    "attribute_not_exists": _not_exists,
    "begins_with": _begins_with,
}
