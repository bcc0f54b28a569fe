"""Hypothesis strategies: valid histories of a betting account."""

from decimal import Decimal

from hypothesis import strategies as st

from betting.account import Account
from betting.events import BettingEvent

AMOUNTS = st.integers(1, 50_000).map(lambda cents: Decimal(cents) / 100)


@st.composite
def histories(draw: st.DrawFn, *, max_size: int = 12) -> list[BettingEvent]:
    """One to ``max_size`` events that the account's own rules let happen, the first of them a deposit."""
    account = Account("generated")
    events: list[BettingEvent] = []
    for number in range(draw(st.integers(1, max_size))):
        decided = _decide(draw, account, number)
        for event in decided:
            account.apply(event)
        events += decided
    return events


def _decide(draw: st.DrawFn, account: Account, number: int) -> list[BettingEvent]:
    choices = ["deposit"]
    if account.balance > 0:
        choices += ["withdraw", "bet"]
    if account.open_bets:
        choices.append("settle")
    part = min(draw(AMOUNTS), account.balance) if account.balance > 0 else draw(AMOUNTS)
    match draw(st.sampled_from(choices)):
        case "withdraw":
            return account.withdraw(part, "EUR")
        case "bet":
            return account.place_bet(f"bet-{number}", part, "EUR")
        case "settle":
            bet_id = draw(st.sampled_from(sorted(account.open_bets)))
            return account.settle_bet(bet_id, draw(AMOUNTS | st.just(Decimal(0))), "EUR")
        case _:
            return account.deposit(draw(AMOUNTS), "EUR")
