"""Daily activity: one row an account and day (UTC), with what was moved on it."""

import contextlib
from datetime import date
from typing import assert_never

import msgspec

from betting.account_type import ACCOUNT
from betting.events import BetPlaced, BetSettled, BettingEvent, FundsDeposited, FundsWithdrawn
from betting.money import ZERO
from betting.projections.balance_summary import Sum
from projector import Columns, Projection, StoredEvent


class DailyActivity(msgspec.Struct, frozen=True, gc=False):
    """Sums of one account on one day, in its currency, and how many events they are."""

    currency: str
    deposited: Sum
    withdrawn: Sum
    staked: Sum
    paid_out: Sum
    count: int


def fold(activity: DailyActivity | None, event: BettingEvent, _: StoredEvent) -> DailyActivity:
    """Add one event to its day."""
    before = activity or DailyActivity(event.currency, ZERO, ZERO, ZERO, ZERO, 0)
    deposited, withdrawn, staked, paid_out = before.deposited, before.withdrawn, before.staked, before.paid_out
    match event:
        case FundsDeposited(amount=amount):
            deposited += amount
        case FundsWithdrawn(amount=amount):
            withdrawn += amount
        case BetPlaced(stake=stake):
            staked += stake
        case BetSettled(payout=payout):
            paid_out += payout
        case _:
            assert_never(event)
    return DailyActivity(before.currency, deposited, withdrawn, staked, paid_out, before.count + 1)


def day(_: BettingEvent, stored: StoredEvent) -> str:
    """The day on which the event occurred, such as ``2026-01-31``: the store writes its times in UTC."""
    return stored.occurred_at[:10]


def parse_day(text: str) -> str:
    """Read a day such as ``2026-01-31``. Raises ValueError."""
    with contextlib.suppress(ValueError):
        # Other forms of ISO 8601 name a day, too, and sort elsewhere.
        if date.fromisoformat(text).isoformat() == text:
            return text
    raise ValueError(f"a day is written like 2026-01-31, not {text[:40]!r}")


DAILY_ACTIVITY = Projection(
    name="daily-activity",
    path="activity",
    aggregates=(ACCOUNT,),
    columns=Columns(DailyActivity),
    fold=fold,
    part_name="day",
    part=day,
    parse_part=parse_day,
)
