"""Maps a projection's state to the attributes of a row and to JSON, as its class declares."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from datetime import date
from decimal import Decimal
from types import NoneType, UnionType
from typing import Any, Final, Generic, TypeVar, Union, get_args, get_origin, get_type_hints

import msgspec
from pydantic.alias_generators import to_camel

S = TypeVar("S")

Value = Mapping[str, Any]

#: Bytes that the columns may take: an item has 400 KB in DynamoDB, and keys, version and halt need some of it.
MAX_STATE: Final = 400_000
_MAX_INT: Final = 10**38 - 1


@dataclass(frozen=True, slots=True)
class _Codec:
    """To DynamoDB's notation, from it, and to JSON, by a JSON schema; and the bytes that a value takes, at most.

    ``size`` raises ValueError for a value that no attribute holds, TypeError or AttributeError for one of another type.
    """

    encode: Callable[[Any], Value]
    decode: Callable[[Value], Any]
    show: Callable[[Any], Any]
    schema: Mapping[str, Any]
    size: Callable[[Any], int]


@dataclass(frozen=True, slots=True)
class Places:
    """Annotates a Decimal with how many decimal places it is written with: ``Annotated[Decimal, Places(2)]`` is money.

    So equal numbers are the same text, whoever has computed them.
    """

    count: int


def _decimal(places: int | None) -> _Codec:
    def write(value: Decimal) -> str:
        return f"{value.normalize():f}" if places is None else f"{value:.{places}f}"

    def read(value: Value) -> Decimal:
        number = Decimal(value["S"])
        if not number.is_finite() or write(number) != value["S"]:
            raise ValueError("no number that was stored")
        return number

    def size(value: Decimal) -> int:
        if not value.is_finite():
            raise ValueError("is not a finite number")
        return len(write(value)) if places is None else max(value.adjusted(), 0) + places + 3

    digits = r"(\.[0-9]+)?" if places is None else rf"\.[0-9]{{{places}}}" if places else ""
    schema = {"type": "string", "pattern": f"^-?[0-9]+{digits}$"}
    return _Codec(lambda value: {"S": write(value)}, read, write, schema, size)


def _size_of_bool(value: bool) -> int:
    if not isinstance(value, bool):
        raise TypeError
    return 1


def _size_of_int(value: int) -> int:
    if not isinstance(value, int):
        raise TypeError
    if not -_MAX_INT <= value <= _MAX_INT:
        raise ValueError("has more than the 38 digits that DynamoDB keeps of a number")
    return 21


def _size_of_text(value: str) -> int:
    try:
        return len(value.encode())
    except UnicodeEncodeError:
        raise ValueError("is no text in UTF-8") from None


def _read_bool(value: Value) -> bool:
    if not isinstance(value["BOOL"], bool):
        raise TypeError("neither true nor false")
    return value["BOOL"]


#: By field type. A Decimal is text, in DynamoDB and in JSON, so that no digit is lost.
_CODECS: Final[Mapping[object, _Codec]] = {
    Decimal: _decimal(None),
    bool: _Codec(lambda value: {"BOOL": value}, _read_bool, bool, {"type": "boolean"}, _size_of_bool),
    int: _Codec(lambda value: {"N": str(value)}, lambda value: int(value["N"]), int, {"type": "integer"}, _size_of_int),
    str: _Codec(lambda value: {"S": value}, lambda value: str(value["S"]), str, {"type": "string"}, _size_of_text),
    date: _Codec(
        lambda value: {"S": value.isoformat()},
        lambda value: date.fromisoformat(value["S"]),
        date.isoformat,
        {"type": "string", "format": "date"},
        lambda value: len(value.isoformat()),
    ),
}
_NULL: Final = {"NULL": True}


class Columns(Generic[S]):
    """The columns of a frozen dataclass, or of a frozen ``msgspec.Struct``; names in camel case.

    A fold makes a state for each event, and a Struct takes a tenth of a dataclass's time.
    A field is a Decimal (with ``Places`` or without), int, str, bool or date, one of these or None, or a tuple of them
    (``tuple[str, ...]``).
    """

    def __init__(self, state: type[S]) -> None:
        """Raises TypeError for a class that is neither, or has a field of another type."""
        if is_dataclass(state):
            names = tuple(field.name for field in fields(state))
        elif issubclass(state, msgspec.Struct):
            names = state.__struct_fields__
        else:
            raise TypeError(f"{state.__name__} is neither a dataclass nor a msgspec.Struct")
        hints = get_type_hints(state, include_extras=True)
        self._state = state
        self._fields = [(name, to_camel(name), _codec(state, hints[name])) for name in names]
        self.names = tuple(column for _, column, _ in self._fields)

    def values(self, state: S) -> list[Value]:
        """The state's values in DynamoDB's notation, in the order of ``names``."""
        return [codec.encode(getattr(state, name)) for name, _, codec in self._fields]

    def refusal(self, state: S) -> str | None:
        """Why no row can hold the state, or None: DynamoDB bounds numbers and items (AWS, "Quotas and limits")."""
        total = 0
        for name, column, codec in self._fields:
            value = getattr(state, name)
            try:
                total += len(column) + codec.size(value)
            except ValueError as error:
                return f"{column} {error}"
            except (TypeError, AttributeError):
                return f"{column} is not for a {type(value).__name__}"
        return f"a row holds {MAX_STATE} bytes, not {total}" if total > MAX_STATE else None

    def state(self, item: Mapping[str, Value]) -> S:
        """Read the state from a row. Raises KeyError, ValueError or ArithmeticError when it cannot be read."""
        return self._state(**{name: codec.decode(item[column]) for name, column, codec in self._fields})

    def to_json(self, state: S) -> dict[str, Any]:
        """The state as the HTTP API shows it."""
        return {column: codec.show(getattr(state, name)) for name, column, codec in self._fields}

    def numbers(self, state: S) -> dict[str, float]:
        """The state's numbers, by the names of their fields."""
        values = ((name, getattr(state, name)) for name, _, _ in self._fields)
        return {name: float(value) for name, value in values if type(value) in {int, Decimal}}

    @property
    def schemas(self) -> dict[str, Mapping[str, Any]]:
        """The JSON schema of each column, as ``to_json`` writes it."""
        return {column: codec.schema for _, column, codec in self._fields}


def _codec(state: type, hint: object) -> _Codec:
    arguments = get_args(hint)
    origin = get_origin(hint)
    if origin in (Union, UnionType) and len(arguments) == 2 and NoneType in arguments:
        return _optional(_one(state, next(each for each in arguments if each is not NoneType)))
    if origin is tuple and len(arguments) == 2 and arguments[1] is ...:
        return _many(_one(state, arguments[0]))
    return _one(state, hint)


def _one(state: type, hint: object) -> _Codec:
    places = [each.count for each in getattr(hint, "__metadata__", ()) if isinstance(each, Places)]
    if places and get_args(hint)[0] is Decimal:
        return _decimal(places[0])
    if hint in _CODECS:
        return _CODECS[hint]
    raise TypeError(
        f"{state.__name__}: a field is Decimal, int, str, bool or date, one of these or None, or a tuple of them such "
        f"as tuple[str, ...]; not {hint}"
    )


def _optional(codec: _Codec) -> _Codec:
    return _Codec(
        lambda value: _NULL if value is None else codec.encode(value),
        lambda value: None if "NULL" in value else codec.decode(value),
        lambda value: None if value is None else codec.show(value),
        {"anyOf": [codec.schema, {"type": "null"}]},
        lambda value: 1 if value is None else codec.size(value),
    )


def _many(codec: _Codec) -> _Codec:
    return _Codec(
        lambda values: {"L": [codec.encode(value) for value in values]},
        lambda value: tuple(codec.decode(each) for each in value["L"]),
        lambda values: [codec.show(value) for value in values],
        {"type": "array", "items": codec.schema},
        lambda values: 3 + sum(1 + codec.size(value) for value in values),
    )
