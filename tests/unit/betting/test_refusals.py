import re
from inspect import getmembers, isclass

import pytest

from betting import errors
from betting.resources import ACCOUNTS
from ledger.aggregates.errors import RefusedError

REFUSALS = [
    kind for _, kind in getmembers(errors, isclass) if issubclass(kind, RefusedError) and kind is not RefusedError
]


@pytest.mark.parametrize("refusal", REFUSALS)
def test_every_refusal_has_a_rule_of_its_own_and_an_example(refusal: type[RefusedError]) -> None:
    assert re.fullmatch("[a-z]+(-[a-z]+)*", refusal.rule)
    assert {"rule", "example"} <= vars(refusal).keys()
    assert sum(other.rule == refusal.rule for other in REFUSALS) == 1


def test_every_refusal_is_declared_by_a_command() -> None:
    assert {refusal for command in ACCOUNTS.commands for refusal in command.refusals} == set(REFUSALS)
