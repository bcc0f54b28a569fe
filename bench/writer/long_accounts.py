"""Accounts of any length, whose events are made when they are asked for: a million of them take no memory.

An account named ``long-EVENTS-...`` has so many events: a deposit, then bets of 1.00, each settled by the next event.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from sortedcontainers import SortedDict

from betting.account_type import ACCOUNT
from betting.events import BetPlaced, BetSettled, BettingEvent, FundsDeposited
from ledger.store.stored_event import StoredEvent, timestamp
from simulation.aws.tables.table import Table, _Row
from simulation.aws.tables.values import stored

_LONG: Final = re.compile(r"long-(\d+)-.*")
_BEGIN: Final = datetime(2026, 1, 31, tzinfo=UTC)
_CORRELATION: Final = "shop:checkout:" + "c" * 60
_ONE: Final = Decimal("1.00")


def long_account(events: int, name: str) -> str:
    """The id of an account of so many events."""
    return f"long-{events}-{name}"


def events_of(account_id: str) -> int:
    """How many events an account has from the beginning."""
    found = _LONG.fullmatch(account_id)
    return int(found[1]) if found else 0


def bet_of(number: int) -> str:
    """The bet of an event from the second on."""
    return f"bet-{number // 2:07d}"


def event(account_id: str, number: int) -> StoredEvent:
    """One event of a long account."""
    made: BettingEvent
    if number == 1:
        made = FundsDeposited(amount=Decimal(1_000_000), currency="EUR")
    elif number % 2 == 0:
        made = BetPlaced(bet_id=bet_of(number), stake=_ONE, currency="EUR")
    else:
        made = BetSettled(bet_id=bet_of(number), payout=_ONE, currency="EUR")
    at = timestamp(_BEGIN + timedelta(milliseconds=number))
    return StoredEvent(account_id, number, ACCOUNT.name, made.event_type, made.payload(), at, _CORRELATION)


class LongAccounts(dict[str, Any]):
    """The partitions of an events table, with those of the long accounts."""

    def get(self, key: str, default: Any = None) -> Any:
        """A partition; that of a long account is made when it is first asked for."""
        found = super().get(key, default)
        if found is None and (events := events_of(key)):
            found = self[key] = _Partition(key, events)
        return found


class _Partition:
    """As a table keeps the rows of a partition: the events of the beginning, and what was put since."""

    def __init__(self, account_id: str, events: int) -> None:
        self._account_id = account_id
        self._events = events
        self._since: Any = SortedDict()

    def get(self, number: int) -> _Row | None:
        return self[number] if 1 <= number <= self._events else self._since.get(number)

    def __getitem__(self, number: int) -> _Row:
        if number > self._events:
            row: _Row = self._since[number]
            return row
        return _Row(*stored(event(self._account_id, int(number)).to_item()), [])

    def __setitem__(self, number: int, row: _Row) -> None:
        if number <= self._events:
            raise ValueError(f"event {number} of {self._account_id} is never replaced")
        self._since[number] = row

    def irange(
        self, low: Any, high: Any, inclusive: tuple[bool, bool] = (True, True), *, reverse: bool = False
    ) -> Iterator[int]:
        first = 1 if low is None else max(1, int(low) + (not inclusive[0]))
        last = self._events if high is None else min(self._events, int(high) - (not inclusive[1]))
        before = range(first, last + 1)
        since = self._since.irange(low, high, inclusive, reverse=reverse)
        if reverse:
            yield from since
            yield from reversed(before)
        else:
            yield from before
            yield from since


def with_long_accounts(table: Table) -> None:
    """Give an events table the long accounts."""
    table._partitions = LongAccounts(table._partitions)
