"""Summary rows: each is the fold of a prefix of its account's events, and no version goes back."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from typing import Any, Final

from simulation.aws.tables.table import Key, Table
from simulation.aws.tables.values import Item
from simulation.invariants.fold import State, UnfoldableError, fold, money, type_of
from simulation.invariants.history import Histories, Violated
from simulation.invariants.records import event_hash

BALANCES: Final = "balance-summary"
ACTIVITY: Final = "daily-activity"
VOUCHERS: Final = "voucher-balance"
_HEAD: Final = "!"


class Rows:
    """The rows of every generation of all read models, checked at each write."""

    def __init__(self, histories: Histories, violated: Violated, profile: str, projections: tuple[str, ...]) -> None:
        """``projections``: what is projected."""
        self.projections = projections
        self._histories = histories
        self._violated = violated
        self._table = re.compile(rf"({'|'.join(projections)})-{re.escape(profile)}-(\d+)")
        #: Events that an operator has skipped: projection (None: every one), account, number.
        self.skipped: set[tuple[str | None, str, int]] = set()
        #: Rows that were tampered with and may be wrong until they are repaired: table and key.
        self.tampered: set[tuple[str, Key]] = set()
        self.tampering = False
        #: Accounts of which any row ever was.
        self.ever_tampered: set[str] = set()
        #: Tables with rows of a history that was lost: a restore replaces them, and no reader sees them after it.
        self.doomed: frozenset[str] = frozenset()

    def go_back(self, tables: Iterable[str]) -> None:
        """Events were lost, of which these tables may have rows."""
        self.doomed = frozenset(filter(self.projection_of, tables))
        self.tampered.clear()

    def projection_of(self, table: str) -> str | None:
        """The projection whose table this is."""
        found = self._table.fullmatch(table)
        return found[1] if found else None

    @staticmethod
    def projections_of(account: str) -> tuple[str, ...]:
        """What folds the events of the aggregate that has this key."""
        return (VOUCHERS,) if type_of(account) == "voucher" else (BALANCES, ACTIVITY)

    def changed(self, table: Table, key: Key, before: Item | None, after: Item | None) -> None:
        """A write to a read model's table."""
        place = (table.name, key)
        if self.tampering:
            self.ever_tampered.add(key[0])
        if table.name in self.doomed:
            return
        if self.tampering:
            self.tampered.add(place)
            return
        was_tampered = place in self.tampered
        projection = self.projection_of(table.name)
        assert projection is not None
        account, part = key[0], key[1] if projection == ACTIVITY else _HEAD
        if after is None:
            if not was_tampered and self._histories.version(account):
                self._violated("rows", f"row {key} of {table.name} was deleted although {account} has events")
            self.tampered.discard(place)
            return
        wrong = self.wrong(projection, account, part, after)
        if wrong is None:
            self.tampered.discard(place)
        elif not was_tampered:
            self._violated("a summary is the fold of a prefix", f"{table.name} {key}: {wrong}")
        version = int(after["version"]["N"])
        if before is not None and version < int(before["version"]["N"]):
            self._violated("no version goes back", f"{table.name} {key}: from {before['version']['N']} to {version}")
        if projection == ACTIVITY and part == _HEAD and wrong is None and not was_tampered:
            self._parts_first(table, account, version)
        if "halted" in after and "halted" not in (before or {}) and not was_tampered:
            number, letter = int(after["halted"]["M"]["sequenceNumber"]["N"]), after["halted"]["M"]["deadLetter"]["S"]
            if not letter.startswith("record~") and not self._is_bad(projection, account, number):
                self._violated("a bad event halts its own account alone", f"{table.name}: {account} by event {number}")

    def wrong(self, projection: str, account: str, part: str, row: Item) -> str | None:
        """Why a row is not the fold of a prefix; None: it is."""
        if projection not in self.projections_of(account):
            return f"it is of a {type_of(account)}, whose events {projection} does not fold"
        version = int(row["version"]["N"])
        if version > self._histories.version(account):
            return f"version {version}, but only {self._histories.version(account)} events are stored"
        try:
            expected = self._expected(projection, account, part, version)
        except UnfoldableError as error:
            return f"version {version} passes an event that cannot be folded: {error}"
        has = {name: value for name, value in row.items() if name not in {"halted", "revision", "aggregateId", "day"}}
        differing = sorted(name for name in has.keys() | expected.keys() if has.get(name) != expected.get(name))
        return "; ".join(f"{name} is {has.get(name)}, not {expected.get(name)}" for name in differing) or None

    def _expected(self, projection: str, account: str, part: str, version: int) -> dict[str, Any]:
        items = [
            item
            for number, item in enumerate(self._histories.items[account][:version], start=1)
            if not self.is_skipped(projection, account, number)
        ]
        expected: dict[str, Any] = {"version": {"N": str(version)}}
        if version:
            expected["eventHash"] = {"S": event_hash(self._histories.items[account][version - 1])}
        if projection == BALANCES:
            return expected | _balances(_folded(items, strict=True))
        if projection == VOUCHERS:
            return expected | _voucher(_folded(items, strict=True))
        if part == _HEAD:
            _folded(items, strict=False)
            return expected
        if not items or items[-1] is not self._histories.items[account][version - 1] or _day(items[-1]) != part:
            raise UnfoldableError(f"event {version} is none of part {part}")
        return expected | _activity(_folded([each for each in items if _day(each) == part], strict=False))

    def is_skipped(self, projection: str, account: str, number: int) -> bool:
        """Whether an operator skipped the event in this projection."""
        return not self.skipped.isdisjoint({(projection, account, number), (None, account, number)})

    def _is_bad(self, projection: str, account: str, number: int) -> bool:
        """Whether the event is the first of its account that the projection cannot hold, skipped meanwhile or not."""
        skipped, self.skipped = self.skipped, self.skipped - {(projection, account, number)}
        try:
            return self._is_first_bad(projection, account, number)
        finally:
            self.skipped = skipped

    def _is_first_bad(self, projection: str, account: str, number: int) -> bool:
        if number > self._histories.version(account):
            return False
        try:
            self._expected(projection, account, _HEAD, number - 1)
        except UnfoldableError:
            return False
        try:
            self._expected(projection, account, _HEAD, number)
        except UnfoldableError:
            return True
        return False

    def _parts_first(self, table: Table, account: str, version: int) -> None:
        newest: defaultdict[str, int] = defaultdict(int)
        for number, item in enumerate(self._histories.items[account][:version], start=1):
            if not self.is_skipped(ACTIVITY, account, number):
                newest[_day(item)] = number
        for day, number in newest.items():
            row = table.get((account, day))
            if row is None or int(row["version"]["N"]) < number:
                self._violated("parts before heads", f"{table.name}: head of {account} at {version}, part {day} behind")


def _folded(items: list[Item], *, strict: bool) -> State:
    state = State()
    for item in items:
        state = fold(state, item, strict=strict)
    return state


def _day(item: Item) -> str:
    return str(item["occurredAt"]["S"][:10])


def _sums(state: State) -> dict[str, Any]:
    sums = {
        "deposited": state.deposited,
        "withdrawn": state.withdrawn,
        "staked": state.staked,
        "paidOut": state.paid_out,
    }
    return {name: {"S": money(value)} for name, value in sums.items()}


def _balances(state: State) -> dict[str, Any]:
    if not state.count:
        return {}
    texts = {"currency": state.currency, "balance": money(state.balance), "lastEventAt": state.last_at}
    return _sums(state) | {name: {"S": text} for name, text in texts.items()}


def _voucher(state: State) -> dict[str, Any]:
    if not state.count:
        return {}
    numbers = {"left": {"N": str(state.balance)}, "charged": {"N": str(state.deposited)}}
    spent_on = {"S": state.spent_on} if state.spent_on else {"NULL": True}
    return numbers | {"empty": {"BOOL": state.balance == 0}, "spentOn": spent_on}


def _activity(state: State) -> dict[str, Any]:
    if not state.count:
        return {}
    return _sums(state) | {"currency": {"S": state.currency}, "count": {"N": str(state.count)}}
