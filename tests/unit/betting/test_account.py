from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from betting.account import Account
from betting.errors import (
    BetAlreadyPlacedError,
    BetAlreadySettledError,
    CurrencyMismatchError,
    InsufficientFundsError,
    InvalidAmountError,
    UnknownBetError,
)
from betting.events import BetPlaced, BetSettled, BettingEvent, FundsDeposited, FundsWithdrawn
from betting.money import Currency
from ledger.aggregates.errors import RefusedError


def account(*events: BettingEvent) -> Account:
    return Account.reconstitute("alice", events)


def deposited(amount: str) -> FundsDeposited:
    return FundsDeposited(amount=Decimal(amount), currency="EUR")


def placed(bet_id: str, stake: str) -> BetPlaced:
    return BetPlaced(bet_id=bet_id, stake=Decimal(stake), currency="EUR")


def settled(bet_id: str, payout: str) -> BetSettled:
    return BetSettled(bet_id=bet_id, payout=Decimal(payout), currency="EUR")


def test_an_account_without_events_is_at_version_0_and_empty() -> None:
    assert account() == Account("alice")


def test_the_first_deposit_opens_the_account_in_its_currency() -> None:
    assert account().deposit(Decimal("12.50"), "EUR") == [deposited("12.50")]
    opened = account(deposited("12.50"))
    assert (opened.version, opened.currency, opened.balance) == (1, "EUR", Decimal("12.50"))


def test_the_whole_balance_can_be_withdrawn_and_not_a_cent_more() -> None:
    live = account(deposited("10.00"))
    assert live.withdraw(Decimal("10.00"), "EUR") == [FundsWithdrawn(amount=Decimal(10), currency="EUR")]
    with pytest.raises(InsufficientFundsError, match=r"holds 10\.00; 10\.01") as refusal:
        live.withdraw(Decimal("10.01"), "EUR")
    assert (refusal.value.balance, refusal.value.asked) == (Decimal("10.00"), Decimal("10.01"))


def test_a_stake_is_bounded_by_the_balance() -> None:
    with pytest.raises(InsufficientFundsError):
        account(deposited("10"), placed("b1", "10")).place_bet("b2", Decimal("0.01"), "EUR")


def test_an_open_bet_holds_its_stake_and_a_payout_comes_back() -> None:
    live = account(deposited("10"), placed("b1", "4"))
    assert (live.balance, live.open_bets) == (Decimal(6), {"b1": Decimal(4)})
    live.apply(settled("b1", "7.50"))
    assert (live.balance, live.open_bets, live.settled_bets.recent) == (Decimal("13.50"), {}, {"b1": 3})


def test_a_lost_bet_pays_0() -> None:
    live = account(deposited("10"), placed("b1", "4"))
    assert live.settle_bet("b1", Decimal(0), "EUR") == [settled("b1", "0")]


@pytest.mark.parametrize("amount", [Decimal(0), Decimal("-1")])
def test_amounts_are_positive(amount: Decimal) -> None:
    live = account(deposited("10"))
    with pytest.raises(InvalidAmountError):
        live.deposit(amount, "EUR")
    with pytest.raises(InvalidAmountError):
        live.withdraw(amount, "EUR")
    with pytest.raises(InvalidAmountError):
        live.place_bet("b1", amount, "EUR")


def test_a_bet_is_placed_once_and_settled_once() -> None:
    open_bet = account(deposited("10"), placed("b1", "4"))
    done = account(deposited("10"), placed("b1", "4"), settled("b1", "0"))
    for live in (open_bet, done):
        with pytest.raises(BetAlreadyPlacedError, match="b1"):
            live.place_bet("b1", Decimal(1), "EUR")
    with pytest.raises(BetAlreadySettledError, match="b1"):
        done.settle_bet("b1", Decimal(1), "EUR")
    with pytest.raises(UnknownBetError, match="b2"):
        done.settle_bet("b2", Decimal(1), "EUR")


def test_an_account_has_one_currency() -> None:
    live = account(deposited("10"), placed("b1", "1"))
    for name, bet_id in (("deposit", ""), ("withdraw", ""), ("place_bet", "b2"), ("settle_bet", "b1")):
        with pytest.raises(CurrencyMismatchError, match=r"held in EUR; USD"):
            decide(live, name, bet_id, Decimal(1), "USD")


# Small amounts and few bets, so that refusals and acceptances both come up often.
amounts = st.integers(-1, 500).map(lambda cents: Decimal(cents).scaleb(-2))
currencies: st.SearchStrategy[Currency] = st.sampled_from(("EUR", "EUR", "EUR", "EUR", "USD"))
bet_ids = st.sampled_from(["b1", "b2", "b3"])
commands = st.one_of(
    st.tuples(st.just("deposit"), st.just(""), amounts, currencies),
    st.tuples(st.just("withdraw"), st.just(""), amounts, currencies),
    st.tuples(st.just("place_bet"), bet_ids, amounts, currencies),
    st.tuples(st.just("settle_bet"), bet_ids, amounts.map(abs), currencies),
)


def decide(live: Account, name: str, bet_id: str, amount: Decimal, currency: Currency) -> list[BettingEvent]:
    match name:
        case "deposit":
            return live.deposit(amount, currency)
        case "withdraw":
            return live.withdraw(amount, currency)
        case "place_bet":
            return live.place_bet(bet_id, amount, currency)
        case _:
            return live.settle_bet(bet_id, amount, currency)


@given(st.lists(commands, max_size=40))
def test_no_sequence_of_commands_overdraws_and_the_history_is_the_state(
    sequence: list[tuple[str, str, Decimal, Currency]],
) -> None:
    live = Account("alice")
    history: list[BettingEvent] = []
    paid_in = paid_out = Decimal(0)
    for command in sequence:
        try:
            events = decide(live, *command)
        except RefusedError:
            continue
        for event in events:
            live.apply(event)
            match event:
                case FundsDeposited():
                    paid_in += event.amount
                case FundsWithdrawn():
                    paid_out += event.amount
                case BetPlaced():
                    paid_out += event.stake
                case BetSettled():
                    paid_in += event.payout
        history += events
        assert live.balance >= 0
    assert live.balance == paid_in - paid_out
    assert live.version == len(history)
    assert not live.open_bets.keys() & live.settled_bets.recent
    assert len({event.currency for event in history}) <= 1
    assert Account.reconstitute("alice", history) == live
