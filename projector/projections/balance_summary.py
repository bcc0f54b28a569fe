"""Balance summaries: one row an account, with its balance and the sums it is made of."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Final, assert_never, cast

from ledger.errors import UndecodableEventError
from ledger.events import BetPlaced, BetSettled, FundsDeposited, FundsWithdrawn
from ledger.money import ZERO, Currency, format_amount
from ledger.stored_event import StoredEvent
from projector.errors import UnprojectableEventError


@dataclass(frozen=True, slots=True)
class BalanceSummary:
    """The fold of events 1..version of one account.

    ``balance = deposited - withdrawn - staked + paid_out``, in the account's one currency; ``last_event_at`` is when
    the event at ``version`` occurred.
    """

    account_id: str
    version: int
    currency: Currency
    balance: Decimal
    deposited: Decimal
    withdrawn: Decimal
    staked: Decimal
    paid_out: Decimal
    last_event_at: str


def evolve(summary: BalanceSummary | None, stored: StoredEvent) -> BalanceSummary:
    """Fold the event that follows ``summary``; ``None`` is the account before its first event.

    Written apart from ``ledger.account`` on purpose: verification refolds with the account's own fold, and two
    witnesses are worth more than one. Raises UnprojectableEventError when the event cannot be read, carries another
    currency than the account, or would overdraw it.
    """
    try:
        event = stored.decode()
    except UndecodableEventError as error:
        raise UnprojectableEventError(stored.aggregate_id, stored.sequence_number, error.reason) from None
    before = summary or BalanceSummary(
        stored.aggregate_id, 0, event.currency, ZERO, ZERO, ZERO, ZERO, ZERO, stored.occurred_at
    )
    if event.currency != before.currency:
        reason = f"it is in {event.currency}, the account in {before.currency}"
        raise UnprojectableEventError(stored.aggregate_id, stored.sequence_number, reason)
    next_ = replace(before, version=stored.sequence_number, last_event_at=stored.occurred_at)
    match event:
        case FundsDeposited():
            after = replace(next_, balance=before.balance + event.amount, deposited=before.deposited + event.amount)
        case FundsWithdrawn():
            after = replace(next_, balance=before.balance - event.amount, withdrawn=before.withdrawn + event.amount)
        case BetPlaced():
            after = replace(next_, balance=before.balance - event.stake, staked=before.staked + event.stake)
        case BetSettled():
            after = replace(next_, balance=before.balance + event.payout, paid_out=before.paid_out + event.payout)
        case _:
            assert_never(event)
    if after.balance < 0:
        reason = f"it takes the balance of {format_amount(before.balance)} to {format_amount(after.balance)}"
        raise UnprojectableEventError(stored.aggregate_id, stored.sequence_number, reason)
    return after


#: Attributes of a row beside its key, in the order in which ``to_values`` gives their values.
COLUMNS: Final = ("version", "currency", "balance", "deposited", "withdrawn", "staked", "paidOut", "lastEventAt")


def to_values(summary: BalanceSummary) -> list[dict[str, str]]:
    """The row's values in the order of ``COLUMNS``; money as text with two places, so that no digit is lost."""
    money = (summary.balance, summary.deposited, summary.withdrawn, summary.staked, summary.paid_out)
    return [
        {"N": str(summary.version)},
        {"S": summary.currency},
        *({"S": format_amount(amount)} for amount in money),
        {"S": summary.last_event_at},
    ]


def from_item(item: Mapping[str, Mapping[str, Any]]) -> BalanceSummary:
    """Read a row."""
    return BalanceSummary(
        account_id=item["aggregateId"]["S"],
        version=int(item["version"]["N"]),
        currency=cast(Currency, item["currency"]["S"]),
        balance=Decimal(item["balance"]["S"]),
        deposited=Decimal(item["deposited"]["S"]),
        withdrawn=Decimal(item["withdrawn"]["S"]),
        staked=Decimal(item["staked"]["S"]),
        paid_out=Decimal(item["paidOut"]["S"]),
        last_event_at=item["lastEventAt"]["S"],
    )


def to_json(summary: BalanceSummary) -> dict[str, str | int]:
    """The summary as the HTTP API shows it."""
    return {
        "accountId": summary.account_id,
        "version": summary.version,
        "currency": summary.currency,
        "balance": format_amount(summary.balance),
        "deposited": format_amount(summary.deposited),
        "withdrawn": format_amount(summary.withdrawn),
        "staked": format_amount(summary.staked),
        "paidOut": format_amount(summary.paid_out),
        "lastEventAt": summary.last_event_at,
    }
