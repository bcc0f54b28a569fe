import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from betting.money import Amount, format_amount, parse_amount

NOT_AMOUNTS = [
    "-1",
    "-0.01",
    "+1",
    "1.234",
    "0.001",
    "NaN",
    "nan",
    "sNaN",
    "Infinity",
    "-Infinity",
    "1e400",
    "1E2",
    "1_000",
    "1,00",
    ".5",
    "5.",
    "",
    " 1",
    "1\n",
    "0x10",
    "\u0661",  # an Arabic one: a digit to Python's \d and to Decimal
    "1234567890123",
    "9" * 10_000,
    1,
    1.5,
    float("nan"),
    1e400,
    True,
    None,
    [],
    {},
    b"1",
    Decimal("-1"),
    Decimal("1.234"),
    Decimal("NaN"),
    Decimal("Infinity"),
    Decimal("1E+400"),
]


@pytest.mark.parametrize("value", NOT_AMOUNTS, ids=lambda value: repr(value)[:30])
def test_what_is_no_amount_is_refused_and_not_repeated(value: object) -> None:
    with pytest.raises(ValueError) as refusal:
        parse_amount(value)
    assert len(str(refusal.value)) < 150


@pytest.mark.parametrize(
    ("text", "amount"),
    [("0", "0"), ("0.00", "0"), ("12.5", "12.50"), ("007", "7"), ("999999999999.99", "999999999999.99")],
)
def test_an_amount_is_read_exactly(text: str, amount: str) -> None:
    assert parse_amount(text) == Decimal(amount)


@given(st.integers(0, 10**14 - 1))
def test_an_amount_survives_its_own_text(cents: int) -> None:
    amount = Decimal(cents).scaleb(-2)
    assert parse_amount(format_amount(amount)) == amount
    assert parse_amount(amount) == amount


odd = st.none() | st.booleans() | st.integers() | st.floats() | st.lists(st.just("1"), max_size=1)
texts = st.text(max_size=4) | st.from_regex(r"[-+]?[0-9]{0,14}(\.[0-9]{0,3})?(e1|\n)?", fullmatch=True)


@given(st.one_of(texts, odd))
@example("1\n")
@example("\u0661")
@example("NaN")
@example(1)
def test_json_is_read_by_the_same_rules(value: object) -> None:
    def read(validate: Callable[[Any], Decimal], given: object) -> Decimal | None:
        try:
            return validate(given)
        except ValidationError:
            return None

    amount = TypeAdapter(Amount)
    in_json, in_python = read(amount.validate_json, json.dumps(value)), read(amount.validate_python, value)
    assert (in_json, str(in_json)) == (in_python, str(in_python))
