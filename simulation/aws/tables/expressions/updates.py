"""Updates, compiled: from an item to the item after it, both whole."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final

from simulation.aws.errors import NotModelledError, unfit, validation
from simulation.aws.tables.expressions.reader import (
    Names,
    Operand,
    Path,
    Reader,
    Values,
    at,
    found,
    operand,
    overlap,
    resolved,
)
from simulation.aws.tables.values import Item, canonical, total

#: From what is at the path now, the item before, and the request's names and values, to what is there then.
Change = Callable[[Any, Item, Names, Values], Any]

_TYPE: Final = "An operand in the update expression has an incorrect data type"
_PATH: Final = "The document path provided in the update expression is invalid for update"
_MISSING: Final = "The provided expression refers to an attribute that does not exist in the item"


class Update:
    """An update. ``names``, ``values``: what it takes from the request."""

    __slots__ = ("_changes", "_paths", "names", "values")

    def __init__(self, text: str) -> None:
        reader = Reader(text)
        changes: list[tuple[Path, Change]] = []
        keywords: list[str] = []
        while not reader.ended:
            keyword = reader.take().upper()
            if keyword not in _CLAUSES or keyword in keywords:
                raise reader.wrong(f"Syntax error; token: {keyword}")
            keywords.append(keyword)
            changes.append(_CLAUSES[keyword](reader))
            while reader.accept(","):
                changes.append(_CLAUSES[keyword](reader))
        self._changes = tuple(changes)
        self._paths = tuple(path for path, _ in changes)
        self.names, self.values = frozenset(reader.names), frozenset(reader.values)

    def paths(self, names: Names, keys: tuple[str, ...]) -> list[Path]:
        """The paths that it changes. Raises ValidationException when two overlap, or one is part of the key."""
        paths = [resolved(path, names) for path in self._paths]
        if overlap(paths):
            raise validation("Invalid UpdateExpression: Two document paths overlap with each other")
        for path in paths:
            if path[0] in keys:
                raise validation(f"Cannot update attribute {path[0]}. This attribute is part of the key")
        return paths

    def apply(self, before: Item, names: Names, values: Values) -> Item:
        """The item after the update; the one before is left as it is. Raises ValidationException."""
        after = dict(before)
        for path, change in self._changes:
            where = resolved(path, names)
            now = found(before, where)
            then = change(now, before, names, values)
            if len(where) > 1:
                _put(after, where, then)
            elif then is not None:
                after[where[0]] = then
            elif now is not None:
                del after[where[0]]
        return after


@lru_cache(maxsize=1024)
def update(text: str) -> Update:
    """Compile an update. Raises ValidationException, NotModelledError."""
    return Update(text)


def _put(item: Item, path: Path, value: Any) -> None:
    """Put a value at a path, or take away what is there, in an item whose maps are copied on the way."""
    here = item
    for step in path[:-1]:
        inside = here.get(step, {}).get("M")
        if inside is None:
            raise unfit(_PATH)
        copied = dict(inside)
        here[step] = {"M": copied}
        here = copied
    if value is None:
        here.pop(path[-1], None)
    else:
        here[path[-1]] = value


def _set(reader: Reader) -> tuple[Path, Change]:
    path = reader.path()
    reader.expect("=")
    value = _sum(reader)

    def change(now: Any, before: Item, names: Names, values: Values) -> Any:
        then = value(before, names, values)
        if then is None:
            raise unfit(_MISSING)
        return then

    return path, change


def _sum(reader: Reader) -> Operand:
    left = _term(reader)
    if reader.peek() not in {"+", "-"}:
        return left
    sign = 1 if reader.take() == "+" else -1
    right = _term(reader)

    def added(item: Item, names: Names, values: Values) -> Any:
        one, other = left(item, names, values), right(item, names, values)
        if one is None or other is None:
            return None
        if "N" not in one or "N" not in other:
            raise unfit(_TYPE)
        return {"N": total(one["N"], other["N"], sign)}

    return added


def _term(reader: Reader) -> Operand:
    if reader.peek(1) != "(":
        return operand(reader)
    name = reader.take()
    if name == "list_append":
        raise NotModelledError(f"the function {name}")
    if name != "if_not_exists":
        raise reader.wrong(f"Invalid function name; function: {name}")
    reader.expect("(")
    path = at(reader.path())
    reader.expect(",")
    otherwise = _term(reader)
    reader.expect(")")
    return lambda *seen: now if (now := path(*seen)) is not None else otherwise(*seen)


def _remove(reader: Reader) -> tuple[Path, Change]:
    return reader.path(), lambda now, before, names, values: None


def _add(reader: Reader) -> tuple[Path, Change]:
    path, token = reader.path(), reader.value()

    def change(now: Any, before: Item, names: Names, values: Values) -> Any:
        more = values[token]
        ((kind, held),) = more.items()
        if kind not in {"N", "SS", "NS", "BS"}:
            raise validation("Incorrect operand type for operator or function; operator: ADD")
        if now is None:
            return more
        if kind not in now:
            raise unfit(_TYPE)
        if kind == "N":
            return {"N": total(now["N"], held, 1)}
        return {kind: [*now[kind], *(each for each in _elements(kind, held) if each not in now[kind])]}

    return path, change


def _elements(kind: str, held: list[str]) -> list[str]:
    """The elements of a set as DynamoDB keeps them."""
    return list(map(canonical, held)) if kind == "NS" else held


def _delete(reader: Reader) -> tuple[Path, Change]:
    path, token = reader.path(), reader.value()

    def change(now: Any, before: Item, names: Names, values: Values) -> Any:
        ((kind, held),) = values[token].items()
        if kind not in {"SS", "NS", "BS"}:
            raise validation("Incorrect operand type for operator or function; operator: DELETE")
        if now is None:
            return None
        if kind not in now:
            raise unfit(_TYPE)
        taken = _elements(kind, held)
        left = [each for each in now[kind] if each not in taken]
        return {kind: left} if left else None

    return path, change


_CLAUSES: Final[Mapping[str, Callable[[Reader], tuple[Path, Change]]]] = {
    "SET": _set,
    "REMOVE": _remove,
    "ADD": _add,
    "DELETE": _delete,
}
