from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from betting.commands import Deposit
from ledger.runtime.problems import MALFORMED_REQUEST
from writer.http.error_handlers import describe

MONEY: TypeAdapter[Deposit] = TypeAdapter(Deposit)


def faults_of(body: object) -> list[dict[str, Any]]:
    with pytest.raises(ValidationError) as error:
        MONEY.validate_python(body)
    return [dict(fault, loc=("body", *fault["loc"])) for fault in error.value.errors()]


def test_every_field_that_is_wrong_is_named() -> None:
    problem = describe(faults_of({"amount": "-1", "currency": "eur", "note": "x"}))
    assert [fault["field"] for fault in problem.members["errors"]] == ["amount", "currency", "note"]
    assert problem.type is MALFORMED_REQUEST


def test_an_unknown_currency_is_told_in_words_and_not_in_a_hundred_codes() -> None:
    problem = describe(faults_of({"amount": "1", "currency": "XXX"}))
    assert "ISO 4217" in problem.detail
    assert "UYU" not in problem.detail


@pytest.mark.parametrize(
    "body",
    [
        {f"f{n}": n for n in range(5000)},
        {"x" * 60_000: 1},
        {"amount": "9" * 60_000, "currency": "E" * 60_000},
        {"\x1b[31m\n" * 20: 1},
        [[]] * 1000,
        None,
    ],
    ids=["many", "long name", "long values", "unprintable", "list", "null"],
)
def test_the_answer_to_anything_is_small_and_printable(body: object) -> None:
    problem = describe(faults_of(body))
    assert len(problem.render(None)) < 4000
    assert problem.detail.isprintable()


def test_the_rest_is_counted() -> None:
    problem = describe(faults_of({"amount": "1", "currency": "EUR"} | {f"f{n}": n for n in range(25)}))
    assert len(problem.members["errors"]) == 10
    assert problem.detail.endswith("and 15 more")
