"""The commands and the histories that the contracts draw."""

from dataclasses import replace

import pytest
from hypothesis import find, given
from hypothesis import strategies as st
from pydantic import ValidationError

from betting.account_type import ACCOUNT
from betting.resources import ACCOUNTS
from kinfold.testing import History, commands, ids
from ledger.aggregates.identifiers import Identifier
from loyalty.resource import MEMBERS
from tests.unit.betting.test_contract import HISTORIES


def test_a_field_that_no_command_has_is_refused() -> None:
    with pytest.raises(TypeError, match="no command of members has a field stake"):
        commands(MEMBERS, stake=st.just(1))


def test_a_value_that_no_command_takes_is_told() -> None:
    drawn = commands(replace(MEMBERS, commands=MEMBERS.commands[:1]), points=st.just(-1))
    with pytest.raises(TypeError, match=r"Earn does not take \{'points': -1\}: give strategies of its fields") as error:
        find(drawn, lambda _: True)
    assert isinstance(error.value.__cause__, ValidationError)


@pytest.mark.parametrize("model", ACCOUNTS.commands)
def test_fields_are_drawn_from_their_types_and_patterns(model: type) -> None:
    @given(commands(replace(ACCOUNTS, commands=(model,))))
    def holds(command: object) -> None:
        assert type(command) is model

    holds()


@given(HISTORIES)
def test_a_history_is_what_the_rules_allow(history: History) -> None:  # type: ignore[type-arg]
    assert history.aggregate().state.balance >= 0
    assert [each.sequence_number for each in history.stored] == list(range(1, len(history.events) + 1))
    assert history.id in repr(history)


@given(ids(replace(ACCOUNT, ids=Identifier("a number", pattern=r"\d{2,3}"))))
def test_ids_are_of_their_rule(drawn: str) -> None:
    assert drawn.isascii()
    assert drawn.isdigit()
    assert 2 <= len(drawn) <= 3
