"""A state's way into a row's attributes and back, and into JSON, by the fields of its dataclass."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated

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


def test_columns_are_the_fields_in_order_in_camel_case_and_money_is_text() -> None:
    purse = Purse("alice", Decimal("12.3"), 7)
    assert COLUMNS.names == ("owner", "totalPaid", "betCount")
    assert COLUMNS.values(purse) == [{"S": "alice"}, {"S": "12.30"}, {"N": "7"}]
    assert COLUMNS.to_json(purse) == {"owner": "alice", "totalPaid": "12.30", "betCount": 7}


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
    with pytest.raises(TypeError, match="Plain is not a dataclass"):
        Columns(Plain)
