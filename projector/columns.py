"""Maps a projection's state to the attributes of a row and to JSON, as its dataclass declares."""

from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from decimal import Decimal
from typing import Any, Generic, TypeVar, get_type_hints

from pydantic.alias_generators import to_camel

from ledger.domain.money import format_amount

S = TypeVar("S")

Value = Mapping[str, Any]


def _money(value: Decimal) -> Value:
    return {"S": format_amount(value)}


def _read_money(value: Value) -> Decimal:
    amount = Decimal(value["S"])
    if not amount.is_finite() or format_amount(amount) != value["S"]:
        raise ValueError("no amount that was stored")
    return amount


def _number(value: int) -> Value:
    return {"N": str(value)}


def _text(value: str) -> Value:
    return {"S": value}


#: By field type: to DynamoDB, from DynamoDB, to JSON. Money is stored as text, so that no digit is lost.
_CODECS: Mapping[type, tuple[Callable[[Any], Value], Callable[[Value], Any], Callable[[Any], Any]]] = {
    Decimal: (_money, _read_money, format_amount),
    int: (_number, lambda value: int(value["N"]), int),
    str: (_text, lambda value: str(value["S"]), str),
}


class Columns(Generic[S]):
    """The columns of a frozen dataclass whose fields are Decimal (money), int or str; names in camel case."""

    def __init__(self, state: type[S]) -> None:
        """Raises TypeError for a class that is not a dataclass or has a field of another type."""
        if not is_dataclass(state):
            raise TypeError(f"{state.__name__} is not a dataclass")
        hints = get_type_hints(state)
        self._state = state
        self._fields = [(field.name, to_camel(field.name), _codec(state, hints[field.name])) for field in fields(state)]
        self.names = tuple(column for _, column, _ in self._fields)

    def values(self, state: S) -> list[Value]:
        """The state's values in DynamoDB's notation, in the order of ``names``."""
        return [encode(getattr(state, name)) for name, _, (encode, _, _) in self._fields]

    def state(self, item: Mapping[str, Value]) -> S:
        """Read the state from a row. Raises KeyError, ValueError or ArithmeticError when it cannot be read."""
        return self._state(**{name: decode(item[column]) for name, column, (_, decode, _) in self._fields})

    def to_json(self, state: S) -> dict[str, Any]:
        """The state as the HTTP API shows it."""
        return {column: show(getattr(state, name)) for name, column, (_, _, show) in self._fields}


def _codec(state: type, hint: object) -> Any:
    if hint in _CODECS:
        return _CODECS[hint]  # type: ignore[index]
    raise TypeError(f"{state.__name__}: a field must be Decimal, int or str, not {hint}")
