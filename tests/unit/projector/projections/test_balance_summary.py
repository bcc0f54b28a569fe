"""The fold of the balance summary, its witness, and its columns."""

from decimal import Decimal
from functools import reduce

import pytest
from hypothesis import given

from ledger.domain.account import Account
from ledger.domain.errors import RefusedError
from ledger.domain.events import DomainEvent, FundsDeposited, encode_payload
from ledger.store.stored_event import StoredEvent
from projector.projection import HEAD, UnprojectableEventError
from projector.projections.balance_summary import BALANCE_SUMMARY, BalanceSummary, Witness, fold
from tests.support.histories import histories


def stored(events: list[DomainEvent], account_id: str = "acc-1") -> list[StoredEvent]:
    return [
        StoredEvent(account_id, number, "account", event.event_type, encode_payload(event), f"t{number}", "corr")
        for number, event in enumerate(events, start=1)
    ]


def folded(events: list[StoredEvent]) -> BalanceSummary:
    summary = reduce(fold, events, None)
    assert summary is not None
    return summary


@given(histories())
def test_the_fold_agrees_with_the_accounts_own(events: list[DomainEvent]) -> None:
    history = stored(events)
    summary = folded(history)
    witness = Witness("alice")
    for event in history:
        witness.add(event)
    assert witness.states() == {HEAD: summary}
    assert summary.balance == Account.reconstitute("acc-1", events).balance
    assert summary.balance == summary.deposited - summary.withdrawn - summary.staked + summary.paid_out


@given(histories())
def test_the_columns_give_back_the_state(events: list[DomainEvent]) -> None:
    summary = folded(stored(events))
    columns = BALANCE_SUMMARY.columns
    item = dict(zip(columns.names, columns.values(summary), strict=True))
    assert columns.state(item) == summary


def test_another_currency_is_refused() -> None:
    events = stored(
        [FundsDeposited(amount=Decimal(1), currency="EUR"), FundsDeposited(amount=Decimal(1), currency="USD")]
    )
    with pytest.raises(UnprojectableEventError, match="event 2 cannot be applied: it is in USD, the account in EUR"):
        folded(events)


def test_an_overdraft_is_refused_with_its_figures() -> None:
    account = Account("acc-1")
    events = account.deposit(Decimal("1.50"), "EUR")
    account.apply(events[0])
    with pytest.raises(RefusedError):
        account.withdraw(Decimal(2), "EUR")
    forged = stored(events)
    forged.append(
        StoredEvent("acc-1", 2, "account", "FundsWithdrawn", '{"amount":"2.00","currency":"EUR"}', "t2", "corr")
    )
    with pytest.raises(UnprojectableEventError, match=r"takes the balance of 1\.50 to -0\.50"):
        folded(forged)


def test_an_unknown_event_type_is_named() -> None:
    with pytest.raises(UnprojectableEventError, match="event 1 cannot be applied: unknown event type 'BonusGranted'"):
        folded([StoredEvent("acc-1", 1, "account", "BonusGranted", "{}", "t", "corr")])
