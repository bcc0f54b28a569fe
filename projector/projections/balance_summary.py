"""Balance summaries: one row an account, with its balance and the sums it is made of."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import assert_never

from ledger.domain.account import Account
from ledger.domain.events import BetPlaced, BetSettled, DomainEvent, FundsDeposited, FundsWithdrawn
from ledger.domain.money import ZERO, format_amount
from ledger.store.stored_event import StoredEvent
from projector.columns import Columns
from projector.projection import HEAD, Projection, UnprojectableEventError, decoded


@dataclass(frozen=True, slots=True)
class BalanceSummary:
    """The fold of an account's events, in its one currency.

    ``balance = deposited - withdrawn - staked + paid_out``; ``last_event_at`` is when the last event occurred.
    """

    currency: str
    balance: Decimal
    deposited: Decimal
    withdrawn: Decimal
    staked: Decimal
    paid_out: Decimal
    last_event_at: str


def fold(summary: BalanceSummary | None, stored: StoredEvent) -> BalanceSummary:
    """Fold the event that follows ``summary``; ``None`` is the account before its first event.

    Written apart from ``ledger.domain.account`` on purpose: verification refolds with the account's own fold, and two
    witnesses are worth more than one. Raises UnprojectableEventError when the event cannot be read, carries another
    currency than the account, or would overdraw it.
    """
    event = decoded(stored)
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
        self._sums: dict[type[DomainEvent], Decimal] = {}
        self._last_at = ""

    def add(self, stored: StoredEvent) -> None:
        """Take the next event. Raises UnprojectableEventError when it cannot be read."""
        event = decoded(stored)
        self._account.apply(event)
        match event:
            case (
                FundsDeposited(amount=amount)
                | FundsWithdrawn(amount=amount)
                | BetPlaced(stake=amount)
                | BetSettled(payout=amount)
            ):
                pass
            case _:
                assert_never(event)
        self._sums[type(event)] = self._sums.get(type(event), ZERO) + amount
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
                deposited=sums.get(FundsDeposited, ZERO),
                withdrawn=sums.get(FundsWithdrawn, ZERO),
                staked=sums.get(BetPlaced, ZERO),
                paid_out=sums.get(BetSettled, ZERO),
                last_event_at=self._last_at,
            )
        }


def _refused(stored: StoredEvent, reason: str) -> UnprojectableEventError:
    return UnprojectableEventError(stored.aggregate_id, stored.sequence_number, reason)


BALANCE_SUMMARY = Projection(
    name="balance-summary", path="balances", columns=Columns(BalanceSummary), fold=fold, witness=Witness
)
