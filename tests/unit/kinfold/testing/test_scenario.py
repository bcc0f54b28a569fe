"""Given, when, then: what it lets pass, and what it says where it does not."""

import re
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import pytest

from betting.account_type import ACCOUNT
from betting.commands import Deposit, PlaceBet, SettleBet, Withdraw
from betting.errors import BetAlreadyPlacedError, BetAlreadySettledError, InsufficientFundsError, UnknownBetError
from betting.events import BetPlaced, BetSettled, FundsDeposited, FundsWithdrawn
from kinfold.testing import given
from ledger.aggregates.identifiers import Identifier
from tests.unit.kinfold.testing.test_aggregate_contract import Changing, Forgotten, Lossy, noting

TEN = FundsDeposited(amount=Decimal(10), currency="EUR")
FOUR_OUT = FundsWithdrawn(amount=Decimal(4), currency="EUR")


def withdraw(amount: str) -> Withdraw:
    return Withdraw(amount=Decimal(amount), currency="EUR")


def bet(kind: type[PlaceBet] = PlaceBet) -> PlaceBet:
    return kind(bet_id="derby", stake=Decimal(4), currency="EUR")


def settle() -> SettleBet:
    return SettleBet(bet_id="derby", payout=Decimal(6), currency="EUR")


def test_the_history_grows_with_what_a_command_brings_about() -> None:
    account = given(ACCOUNT).when(Deposit(amount=Decimal(10), currency="EUR")).then(TEN)
    account = account.when(withdraw("4")).then(FOUR_OUT)
    assert (account.state.balance, account.state.version) == (Decimal(6), 2)
    account = account.when(withdraw("6.01")).refuses(InsufficientFundsError, match=r"holds 6\.00; 6\.01")
    assert account.state.balance == 6


def test_an_id_is_used_once_wherever_it_is_kept() -> None:
    placed = BetPlaced(bet_id="derby", stake=Decimal(4), currency="EUR")
    account = given(ACCOUNT, TEN).when(settle()).refuses(UnknownBetError).when(bet()).then(placed)
    account = account.when(settle()).then(BetSettled(bet_id="derby", payout=Decimal(6), currency="EUR"))
    account.when(bet()).refuses(BetAlreadyPlacedError).when(settle()).refuses(BetAlreadySettledError)


def test_a_command_that_does_not_name_its_id_is_found() -> None:
    placed = BetPlaced(bet_id="derby", stake=Decimal(4), currency="EUR")
    account = given(ACCOUNT, TEN, placed, BetSettled(bet_id="derby", payout=Decimal(6), currency="EUR"))
    with pytest.raises(AssertionError, match=r"(?s)does `used_id` name the id.*BetPlaced.*BetAlreadyPlacedError"):
        account.when(bet(Forgotten))


FAILURES: dict[str, tuple[Callable[[], object], str]] = {
    "another event": (
        lambda: given(ACCOUNT, TEN).when(withdraw("5")).then(FOUR_OUT),
        r"Withdraw\(.*other events .*\n- FundsWithdrawn\(.*'4'.*\n.*\+ FundsWithdrawn\(.*'5'",
    ),
    "an event too few": (
        lambda: given(ACCOUNT, TEN).when(withdraw("4")).then(FOUR_OUT, TEN),
        r"  FundsWithdrawn\(.*\n- FundsDeposited\(",
    ),
    "an event too many": (lambda: given(ACCOUNT, TEN).when(withdraw("4")).then(), r"\n\+ FundsWithdrawn\("),
    "a refusal": (
        lambda: given(ACCOUNT).when(withdraw("4")).then(FOUR_OUT),
        r"Withdraw\(.*was refused: InsufficientFundsError: account alice holds 0\.00",
    ),
    "no refusal": (
        lambda: given(ACCOUNT, TEN).when(withdraw("4")).refuses(InsufficientFundsError),
        r"was not refused, but brought about FundsWithdrawn\(",
    ),
    "another refusal": (
        lambda: given(ACCOUNT).when(withdraw("4")).refuses(UnknownBetError),
        "was not refused by UnknownBetError, but by InsufficientFundsError: account alice",
    ),
    "a refusal in other words": (
        lambda: given(ACCOUNT).when(withdraw("4")).refuses(InsufficientFundsError, match="holds 1"),
        "in other words than 'holds 1': account alice holds 0",
    ),
    "a decision that changes the state": (
        lambda: given(ACCOUNT).when(Changing(amount=Decimal(1), currency="EUR")),
        r"changes the state when it decides .*\n- Account\(",
    ),
    "an event that is not what is stored of it": (
        lambda: given(noting(Lossy(text="a"))["aggregate"], Lossy(text="a", note="b")),
        r"Noted is read from its payload as another event .*\n- Lossy\(.*note='b'\)\n.*\+ Lossy\(",
    ),
}


@pytest.mark.parametrize(("scenario", "said"), FAILURES.values(), ids=FAILURES.keys())
def test_a_failure_says_what_is_otherwise(scenario: Callable[[], object], said: str) -> None:
    with pytest.raises(AssertionError) as failure:
        scenario()
    assert re.search(said, str(failure.value), re.DOTALL), failure.value


def test_an_id_that_the_type_does_not_take_is_refused() -> None:
    numbered = replace(ACCOUNT, ids=Identifier("a number", pattern="[0-9]+"))
    with pytest.raises(TypeError, match=r"a number matches \[0-9\]\+, and 'alice' is none: name one by aggregate_id"):
        given(numbered)
    assert given(numbered, TEN, aggregate_id="7").state.account_id == "7"
