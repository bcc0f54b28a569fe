"""A state's way into a row's attributes and back, and into JSON, by the fields of its dataclass."""

from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import Annotated, Any

import jsonschema_rs
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from projector.columns import Columns, Places


@dataclass(frozen=True, slots=True)
class Purse:
    owner: str
    total_paid: Annotated[Decimal, Places(2)]
    bet_count: int


COLUMNS = Columns(Purse)
PURSES = st.builds(
    Purse,
    owner=st.text(),
    total_paid=st.integers(-(10**30), 10**30).map(lambda cents: Decimal(cents).scaleb(-2)),
    bet_count=st.integers(),
)


@given(PURSES)
def test_a_row_gives_back_the_state_digit_for_digit(purse: Purse) -> None:
    item = dict(zip(COLUMNS.names, COLUMNS.values(purse), strict=True))
    assert COLUMNS.state(item) == purse


class Till(msgspec.Struct, frozen=True):
    owner: str
    total_paid: Annotated[Decimal, Places(2)]
    bet_count: int


@pytest.mark.parametrize("kind", [Purse, Till])
def test_columns_are_the_fields_in_order_in_camel_case_and_money_is_text(kind: Any) -> None:
    state, columns = kind("alice", Decimal("12.3"), 7), Columns(kind)
    assert columns.names == ("owner", "totalPaid", "betCount")
    assert columns.values(state) == [{"S": "alice"}, {"S": "12.30"}, {"N": "7"}]
    assert columns.to_json(state) == {"owner": "alice", "totalPaid": "12.30", "betCount": 7}
    assert columns.numbers(state) == {"total_paid": 12.3, "bet_count": 7}
    assert columns.state(dict(zip(columns.names, columns.values(state), strict=True))) == state


@dataclass(frozen=True, slots=True)
class Everything:
    exact: Decimal
    whole: Annotated[Decimal, Places(0)]
    money: Annotated[Decimal, Places(2)] | None
    count: int
    since: date | None
    tags: tuple[str, ...]
    open: bool


@given(st.from_type(Everything).filter(lambda each: Columns(Everything).refusal(each) is None))
def test_what_is_shown_is_of_the_schema(everything: Everything) -> None:
    columns = Columns(Everything)
    schema = {"type": "object", "properties": columns.schemas, "required": list(columns.names)}
    shown = columns.to_json(everything)
    validator = jsonschema_rs.validator_for(schema, validate_formats=True)
    assert validator.is_valid(shown), shown
    others = {"exact": 1.5, "whole": "1.0", "money": "1.5", "count": "1", "since": "today", "tags": "a", "open": 1}
    assert [name for name, other in others.items() if validator.is_valid({**shown, name: other})] == []


def test_a_row_without_one_of_the_columns_is_refused() -> None:
    with pytest.raises(KeyError, match="betCount"):
        COLUMNS.state({"owner": {"S": "alice"}, "totalPaid": {"S": "1.00"}})


def test_only_a_dataclass_of_money_numbers_and_text_has_columns() -> None:
    @dataclass(frozen=True)
    class Odd:
        ratio: float

    class Plain:
        owner: str

    with pytest.raises(TypeError, match=r"Odd: a field is Decimal, int, str, .*float"):
        Columns(Odd)
    with pytest.raises(TypeError, match="Plain is neither a dataclass nor"):
        Columns(Plain)


@dataclass(frozen=True, slots=True)
class Drawer:
    exact: Decimal
    price: Annotated[Decimal, Places(4)]
    count: int
    note: str | None
    open: bool
    since: date
    labels: tuple[str, ...]
    sums: tuple[Decimal, ...] = ()


DRAWERS = Columns(Drawer)
DRAWER = Drawer(Decimal(1), Decimal(2), 3, None, True, date(2026, 1, 1), ())


def weight(value: object) -> int:
    """What an attribute's value takes, as AWS counts it ("DynamoDB item sizes and formats")."""
    match value:
        case {"N": str(number)}:
            return len(number.strip("-")) // 2 + 1
        case str():
            return len(value.encode())
        case bool():
            return 1
        case [*items]:
            return 3 + sum(1 + weight(each) for each in items)
        case dict():
            return sum(map(weight, value.values()))
        case _:
            raise TypeError(value)


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (replace(DRAWER, count=10**38), "count has more than the 38 digits that DynamoDB keeps of a number"),
        (replace(DRAWER, count=-(10**38)), "count has more than the 38 digits that DynamoDB keeps of a number"),
        (replace(DRAWER, exact=Decimal("NaN")), "exact is not a finite number"),
        (replace(DRAWER, price=Decimal("Infinity")), "price is not a finite number"),
        (replace(DRAWER, note="\ud800"), "note is no text in UTF-8"),
        (replace(DRAWER, labels=("a", "\udfff")), "labels is no text in UTF-8"),
        (replace(DRAWER, note="é" * 200_000), "a row holds 400000 bytes, not 400"),
        (replace(DRAWER, labels=("x" * 1000,) * 400), "a row holds 400000 bytes, not 40"),
        (replace(DRAWER, exact=Decimal("1E+400000")), "a row holds 400000 bytes, not 400"),
        (replace(DRAWER, price=Decimal("1E+400000")), "a row holds 400000 bytes, not 400"),
    ],
)
def test_what_no_row_can_hold_is_told(state: Drawer, reason: str) -> None:
    refusal = DRAWERS.refusal(state)
    assert refusal is not None
    assert refusal.startswith(reason)


@given(
    st.builds(
        Drawer,
        exact=st.decimals(allow_nan=False, allow_infinity=False),
        price=st.decimals(allow_nan=False, allow_infinity=False, places=4),
        count=st.integers(-(10**38) + 1, 10**38 - 1),
        note=st.none() | st.text(),
        open=st.booleans(),
        since=st.dates(),
        labels=st.lists(st.text()).map(tuple),
        sums=st.lists(st.decimals(allow_nan=False, allow_infinity=False)).map(tuple),
    )
)
def test_what_a_row_takes_is_never_counted_too_low(drawer: Drawer) -> None:
    assert DRAWERS.refusal(drawer) is None
    values = DRAWERS.values(drawer)
    for (_, _, codec), name, value in zip(DRAWERS._fields, Drawer.__slots__, values, strict=True):
        assert codec.size(getattr(drawer, name)) >= weight(value)
