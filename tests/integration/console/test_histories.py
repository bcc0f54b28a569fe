"""Histories that are looked at: every step is the fold, whatever was read before, and a lost event is noticed."""

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from functools import partial

import pytest

from betting.account_type import ACCOUNT
from betting.events import FundsDeposited, FundsWithdrawn
from console.folds import history as histories
from console.folds.history import Histories, History
from console.folds.steps import Shown, Steps
from ledger.store.errors import CorruptHistoryError
from ledger.store.event_store import EventStore
from projector.components import Components
from tests.integration.console.conftest import MakeSite
from tests.support.accounts import append, deposit
from tests.support.waiting import PATIENCE

pytestmark = pytest.mark.integration


@pytest.fixture
def components(make_site: MakeSite) -> Components:
    return make_site().components


def balances(shown: Sequence[Shown]) -> set[str | None]:
    return {each.values.get("balance") for each in shown if each.name != "daily-activity"}


def test_any_step_of_a_long_history_is_the_fold_of_its_events(
    components: Components, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Marks so close that they are thinned out several times.
    monkeypatch.setattr(histories, "_FIRST_SPACING", 4)
    monkeypatch.setattr(histories, "_MARKS", 8)
    store = EventStore(components.clients.dynamodb, components.names.events)
    moved = [Decimal(1 + number % 7) * (1 if number % 3 else -1) for number in range(1, 400)]
    balance = Decimal(100)
    expected = [Decimal(0), balance]
    append(store, "alice", [FundsDeposited(amount=balance, currency="EUR")])
    for begin in range(0, len(moved), 80):
        part = moved[begin : begin + 80]
        kinds = [FundsDeposited if amount > 0 else FundsWithdrawn for amount in part]
        append(store, "alice", [kind(amount=abs(each), currency="EUR") for kind, each in zip(kinds, part, strict=True)])
    for amount in moved:
        expected.append(expected[-1] + amount)
    with ThreadPoolExecutor(2) as executor:
        history = Histories(components, executor).of(ACCOUNT, "alice", wait=PATIENCE)
        assert (history.sight.complete, history.sight.version) == (True, len(expected) - 1)
        assert balances(history.sight.states) == {f"{expected[-1]:.2f}"}
        for version in (1, 2, 3, 4, 5, 63, 64, 65, 200, 255, 256, 257, 398, 399, 400):
            before, event, after = history.step(version)
            assert event.sequence_number == version
            assert balances(after) == {f"{expected[version]:.2f}"}
            assert balances(before) == ({None} if version == 1 else {f"{expected[version - 1]:.2f}"})
        points = history.sight.numbers["balance-summary.balance"]
        assert points[-1].last == float(expected[-1])
        assert max(each.high for each in points) == float(max(expected))
        with pytest.raises(CorruptHistoryError):
            history.step(401)


def test_who_waits_for_a_long_history_is_told_before_it_is_read_and_the_reading_gives_way(
    components: Components, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(histories, "_REACH", 10)
    monkeypatch.setattr(histories, "_STRETCH", 1)
    deposit(components.store, "alice", 50)
    told, seen = threading.Event(), []

    def gives_way() -> bool:
        seen.append((told.wait(PATIENCE), history.sight.total, history.sight.complete))
        return True

    begin = partial(Steps, ACCOUNT, "alice", components.projections, components.skips.of)
    with ThreadPoolExecutor(1) as executor:
        history = History(components.store, begin, gives_way, executor.submit)
        history.read_on(PATIENCE)
        told.set()
    assert set(seen) == {(True, 50, False)}
    # The last events take no longer than a page waits.
    assert (len(seen), history.sight.complete, history.sight.version) == (40, True, 50)


def test_a_history_goes_on_and_begins_anew_where_the_table_lost_events(
    components: Components, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(histories, "_FRESH", 0.0)
    store, dynamodb = EventStore(components.clients.dynamodb, components.names.events), components.clients.dynamodb
    append(store, "alice", [FundsDeposited(amount=Decimal(each), currency="EUR") for each in (1, 2, 3)])
    with ThreadPoolExecutor(2) as executor:
        looked_at = Histories(components, executor)
        assert balances(looked_at.of(ACCOUNT, "alice", wait=PATIENCE).sight.states) == {"6.00"}
        append(store, "alice", [FundsDeposited(amount=Decimal(4), currency="EUR")])
        assert balances(looked_at.of(ACCOUNT, "alice", wait=PATIENCE).sight.states) == {"10.00"}
        for number in (3, 4):
            key = {"aggregateId": {"S": "alice"}, "sequenceNumber": {"N": str(number)}}
            dynamodb.delete_item(TableName=components.names.events, Key=key)
        append(store, "alice", [FundsDeposited(amount=Decimal(50), currency="EUR")])
        assert balances(looked_at.of(ACCOUNT, "alice", wait=PATIENCE).sight.states) == {"53.00"}
