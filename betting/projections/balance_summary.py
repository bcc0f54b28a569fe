"""Balance summaries: one row an account, with its balance and the sums it is made of."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, assert_never

import msgspec

from betting.account import Account
from betting.account_type import ACCOUNT
from betting.events import BetPlaced, BetSettled, BettingEvent, FundsDeposited, FundsWithdrawn
from betting.money import ZERO, format_amount
from projector import HEAD, Columns, Places, Projection, StoredEvent, UnprojectableEventError

#: A sum of amounts, as a row holds it.
Sum = Annotated[Decimal, Places(2)]


class BalanceSummary(msgspec.Struct, frozen=True, gc=False):
    """The fold of an account's events, in its one currency.

    ``balance = deposited - withdrawn - staked + paid_out``; ``last_event_at`` is when the last event occurred.
    """

    currency: str
    balance: Sum
    deposited: Sum
    withdrawn: Sum
    staked: Sum
    paid_out: Sum
    last_event_at: str


def fold(summary: BalanceSummary | None, event: BettingEvent, stored: StoredEvent) -> BalanceSummary:
    """Fold the event that follows ``summary``; ``None`` is the account before its first event.

    Written apart from ``betting.account`` on purpose: verification refolds with the account's own fold, and two
    witnesses are worth more than one. Raises UnprojectableEventError when the event carries another currency than the
    account, or would overdraw it.
    """
    at = stored.occurred_at
    before = summary or BalanceSummary(event.currency, ZERO, ZERO, ZERO, ZERO, ZERO, at)
    if event.currency != before.currency:
        raise _refused(stored, f"it is in {event.currency}, the account in {before.currency}")
    balance = before.balance
    deposited, withdrawn, staked, paid_out = before.deposited, before.withdrawn, before.staked, before.paid_out
    match event:
        case FundsDeposited(amount=amount):
            balance, deposited = balance + amount, deposited + amount
        case FundsWithdrawn(amount=amount):
            balance, withdrawn = balance - amount, withdrawn + amount
        case BetPlaced(stake=stake):
            balance, staked = balance - stake, staked + stake
        case BetSettled(payout=payout):
            balance, paid_out = balance + payout, paid_out + payout
        case _:
            assert_never(event)
    if balance < 0:
        raise _refused(stored, f"it takes the balance of {format_amount(before.balance)} to {format_amount(balance)}")
    return BalanceSummary(before.currency, balance, deposited, withdrawn, staked, paid_out, at)


class Witness:
    """The summary by the account's own fold, and by plain sums."""

    def __init__(self, account_id: str) -> None:
        self._account = Account(account_id)
        self._sums: dict[str, Decimal] = {}
        self._last_at = ""

    def add(self, event: BettingEvent, stored: StoredEvent) -> None:
        """Take the next event."""
        self._account.apply(event)
        # Which bets were settled decides no sum, and would grow with the history.
        self._account.settled_bets.leave(self._account.version)
        name, amount = _moved(event)
        self._sums[name] = self._sums.get(name, ZERO) + amount
        self._last_at = stored.occurred_at

    def states(self) -> Mapping[str, BalanceSummary]:
        """The summary, once there is an event."""
        account, sums = self._account, self._sums
        if account.version == 0:
            return {}
        return {
            HEAD: BalanceSummary(
                currency=str(account.currency),
                balance=account.balance,
                deposited=sums.get("deposited", ZERO),
                withdrawn=sums.get("withdrawn", ZERO),
                staked=sums.get("staked", ZERO),
                paid_out=sums.get("paid_out", ZERO),
                last_event_at=self._last_at,
            )
        }


def _moved(event: BettingEvent) -> tuple[str, Decimal]:
    """The sum that the event adds to, and how much."""
    match event:
        case FundsDeposited(amount=amount):
            return "deposited", amount
        case FundsWithdrawn(amount=amount):
            return "withdrawn", amount
        case BetPlaced(stake=stake):
            return "staked", stake
        case BetSettled(payout=payout):
            return "paid_out", payout
        case _:
            assert_never(event)


def _refused(stored: StoredEvent, reason: str) -> UnprojectableEventError:
    return UnprojectableEventError(stored.aggregate_id, stored.sequence_number, reason)


BALANCE_SUMMARY = Projection(
    name="balance-summary",
    path="balances",
    aggregates=(ACCOUNT,),
    columns=Columns(BalanceSummary),
    fold=fold,
    witness=Witness,
)
