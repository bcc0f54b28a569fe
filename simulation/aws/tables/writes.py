"""What the writes of single items, transactions and reads have in common: conditions, updates, bindings, units."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final, Protocol

from simulation.aws.errors import NotModelledError, condition_failed, validation
from simulation.aws.tables.expressions.conditions import condition
from simulation.aws.tables.expressions.reader import Names, Path, Values
from simulation.aws.tables.expressions.updates import update
from simulation.aws.tables.table import Table
from simulation.aws.tables.values import Item

Request = Mapping[str, Any]

_NOTHING: Final[Mapping[str, Any]] = {}


class Expression(Protocol):
    """A compiled expression: what it takes from the request."""

    names: frozenset[str]
    values: frozenset[str]


def bindings(request: Request, *expressions: Expression) -> tuple[Names, Values]:
    """The names and values of a request: just those that its expressions take. Raises ValidationException."""
    needed_names, needed_values = _needed(expressions) if len(expressions) != 1 else _of(expressions[0])
    names, values = request.get("ExpressionAttributeNames"), request.get("ExpressionAttributeValues")
    for given, needed, what in ((names, needed_names, "Names"), (values, needed_values, "Values")):
        if given is None:
            if needed:
                raise validation(f"ExpressionAttribute{what} is missing, and an expression uses it")
        elif not given or given.keys() != needed:
            raise validation(f"ExpressionAttribute{what} is empty, or not what the expressions use")
    return names or _NOTHING, values or _NOTHING


def _of(expression: Expression) -> tuple[frozenset[str], frozenset[str]]:
    return expression.names, expression.values


@lru_cache(maxsize=1024)
def _needed(expressions: tuple[Expression, ...]) -> tuple[frozenset[str], frozenset[str]]:
    names = frozenset(name for each in expressions for name in each.names)
    return names, frozenset(value for each in expressions for value in each.values)


def require(request: Request, before: Item | None) -> None:
    """Raise ConditionalCheckFailedException unless the request's condition holds for the item that is there."""
    text = request.get("ConditionExpression")
    if text is None:
        return
    compiled = condition(text)
    names, values = bindings(request, compiled)
    _hold(request, compiled.holds(before or {}, names, values), before)


def _hold(request: Request, holds: bool, before: Item | None) -> None:
    if not holds:
        shown = request.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD"
        raise condition_failed(before if shown else None)


def updated(table: Table, request: Request, before: Item | None) -> tuple[Item, list[Path]]:
    """The item after an UpdateItem, and the paths that it changes. Raises AwsError."""
    texts = request.get("ConditionExpression"), request.get("UpdateExpression")
    condition_ = condition(texts[0]) if texts[0] is not None else None
    update_ = update(texts[1]) if texts[1] is not None else None
    names, values = bindings(request, *(each for each in (condition_, update_) if each is not None))
    paths = update_.paths(names, table.keys) if update_ is not None else []
    if condition_ is not None:
        _hold(request, condition_.holds(before or {}, names, values), before)
    if update_ is None:
        return before or dict(request["Key"]), paths
    return update_.apply(before if before is not None else request["Key"], names, values), paths


def units_asked(request: Request) -> bool:
    """Whether the request wants to know what it costs."""
    asked = request.get("ReturnConsumedCapacity", "NONE")
    if asked == "INDEXES":
        raise NotModelledError("consumed capacity by index")
    return bool(asked == "TOTAL")
