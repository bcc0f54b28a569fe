"""Daily activity: one row an account and day (UTC), with what was moved on it."""

import contextlib
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import assert_never

from ledger.domain.events import BetPlaced, BetSettled, FundsDeposited, FundsWithdrawn
from ledger.domain.money import ZERO
from ledger.store.stored_event import StoredEvent
from projector.columns import Columns
from projector.projection import Projection, decoded


@dataclass(frozen=True, slots=True)
class DailyActivity:
    """Sums of one account on one day, in its currency, and how many events they are."""

    currency: str
    deposited: Decimal
    withdrawn: Decimal
    staked: Decimal
    paid_out: Decimal
    count: int


def fold(activity: DailyActivity | None, stored: StoredEvent) -> DailyActivity:
    """Add one event to its day. Raises UnprojectableEventError when the event cannot be read."""
    event = decoded(stored)
    before = activity or DailyActivity(event.currency, ZERO, ZERO, ZERO, ZERO, 0)
    count = before.count + 1
    match event:
        case FundsDeposited(amount=amount):
            return replace(before, deposited=before.deposited + amount, count=count)
        case FundsWithdrawn(amount=amount):
            return replace(before, withdrawn=before.withdrawn + amount, count=count)
        case BetPlaced(stake=stake):
            return replace(before, staked=before.staked + stake, count=count)
        case BetSettled(payout=payout):
            return replace(before, paid_out=before.paid_out + payout, count=count)
        case _:
            assert_never(event)


def day(stored: StoredEvent) -> str:
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
    columns=Columns(DailyActivity),
    fold=fold,
    part_name="day",
    part=day,
    parse_part=parse_day,
)
