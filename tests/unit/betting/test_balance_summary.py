"""What the balance summary refuses. The fold, its witness and its columns are held by its contract."""

import pickle
from decimal import Decimal

import pytest

from betting.account_type import ACCOUNT
from betting.commands import Withdraw
from betting.errors import InsufficientFundsError
from betting.events import BetPlaced, BetSettled, FundsDeposited, FundsWithdrawn
from betting.projections.balance_summary import BALANCE_SUMMARY, Witness
from kinfold.testing import given, project
from projector.projection import UnprojectableEventError
from tests.support.accounts import stored_event

DEPOSITED = FundsDeposited(amount=Decimal("1.50"), currency="EUR")


def test_another_currency_is_refused() -> None:
    with pytest.raises(UnprojectableEventError, match="event 2 cannot be applied: it is in USD, the account in EUR"):
        project(BALANCE_SUMMARY, DEPOSITED, FundsDeposited(amount=Decimal(1), currency="USD"))


def test_an_overdraft_is_refused_with_its_figures() -> None:
    given(ACCOUNT, DEPOSITED).when(Withdraw(amount=Decimal(2), currency="EUR")).refuses(InsufficientFundsError)
    with pytest.raises(UnprojectableEventError, match=r"takes the balance of 1\.50 to -0\.50"):
        project(BALANCE_SUMMARY, DEPOSITED, FundsWithdrawn(amount=Decimal(2), currency="EUR"))


def test_an_unknown_event_type_is_named() -> None:
    with pytest.raises(UnprojectableEventError, match="event 1 cannot be applied: unknown event type 'BonusGranted'"):
        BALANCE_SUMMARY.after(None, stored_event(event_type="BonusGranted"))


def test_the_witness_of_a_long_history_is_no_larger() -> None:
    witness, sizes = Witness("alice"), []
    witness.add(FundsDeposited(amount=Decimal(1000), currency="EUR"), stored_event())
    for number in range(1000, 2000):
        for event in (
            BetPlaced(bet_id=f"bet-{number}", stake=Decimal("1.00"), currency="EUR"),
            BetSettled(bet_id=f"bet-{number}", payout=Decimal("1.00"), currency="EUR"),
        ):
            witness.add(event, stored_event())
        sizes.append(len(pickle.dumps(witness)))
    assert max(sizes) - sizes[0] < 20
