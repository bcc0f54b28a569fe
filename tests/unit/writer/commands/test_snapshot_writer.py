"""Snapshots with a store in memory: what is used, what is ignored, what is written, and that the state is the fold."""

import threading
import time
from collections.abc import Callable, MutableMapping
from dataclasses import replace
from decimal import Decimal
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from betting.account import Account
from betting.account_type import ACCOUNT
from betting.events import BetSettled, BettingEvent
from ledger.aggregates.used_ids import UsedIds
from ledger.errors import ThrottledError
from ledger.store.errors import SnapshotError
from ledger.store.event_store import History
from ledger.store.snapshots import Snapshot, SnapshotStore, crosses, decode, encode
from tests.support.accounts import aggregate_of, save
from tests.support.histories import histories
from tests.support.waiting import until
from tests.unit.writer.commands.conftest import INTERVAL, Rig, broken, deposit
from writer.commands.aggregate_repository import Loaded


def blocked_until(release: threading.Event) -> Callable[[], None]:
    def block() -> None:
        release.wait(20)

    return block


@pytest.mark.parametrize(
    ("before", "after", "interval", "expected"),
    [
        (98, 99, 100, False),
        (99, 100, 100, True),
        (100, 101, 100, False),
        (98, 101, 100, True),
        (100, 200, 100, True),
        (150, 350, 100, True),
        (0, 1, 1, True),
        (99, 100, 0, False),
    ],
)
def test_an_append_that_reaches_or_jumps_over_a_multiple_crosses_it(
    before: int, after: int, interval: int, expected: bool
) -> None:
    assert crosses(before, after, interval) is expected


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(
    history=histories(max_size=40),
    interval=st.integers(1, 12),
    sizes=st.lists(st.integers(1, 7), min_size=1, max_size=8),
)
def test_the_state_equals_the_full_replay_at_every_version(
    history: list[BettingEvent], interval: int, sizes: list[int]
) -> None:
    rig, plain = Rig(interval), Account("alice")
    replays = [plain.copy()]
    for event in history:
        plain.apply(event)
        replays.append(plain.copy())
    left, append = list(history), 0
    while left:
        size = sizes[append % len(sizes)]
        rig.append(*left[:size])
        left, append = left[size:], append + 1
        reached = len(history) - len(left)
        loaded = rig.accounts.load(ACCOUNT, "alice")
        assert loaded.proof.number == reached
        check(rig, loaded, replays[reached])
    rig.close()
    for version in range(1, len(history) + 1):
        check(rig, rig.accounts.load(ACCOUNT, "alice", until=version), replays[version])
    assert ("alice" in rig.table.items) is (len(history) >= interval)


def check(rig: Rig, loaded: Loaded, replay: Account) -> None:
    """The account is the fold, and knows of every bet that it was settled, if need be by the archive."""
    account = rig.accounts.recall(loaded, [*replay.settled_bets.recent, "never placed"]).aggregate.state
    assert account.settled_bets.recent.keys() == replay.settled_bets.recent.keys()
    found, fold = (replace(each, settled_bets=UsedIds()) for each in (account, replay))
    assert found == fold


def test_a_load_reads_the_newest_events_and_a_snapshot_where_they_are_not_all(rig: Rig) -> None:
    asked: list[str] = []
    found, rig.snapshots.find = rig.snapshots.find, lambda key: asked.append(key) or found(key)  # type: ignore[method-assign, func-returns-value]
    for number in range(1, 14):
        rig.store.add("alice", deposit())
        rig.store.read_after.clear()
        assert rig.accounts.load(ACCOUNT, "alice").aggregate.state.version == number
        assert (len(asked) > 0) == (number > INTERVAL + 1), "all of it came with the newest events"
        assert rig.store.read_after == ([0] if number <= INTERVAL + 1 else [number - INTERVAL - 1, 0])


def test_a_load_reads_only_what_follows_the_snapshot(rig: Rig) -> None:
    for _ in range(25):
        rig.append(deposit())
    until(lambda: rig.table.items.get("alice", {}).get("version") == {"N": "20"})
    rig.store.read_after.clear()
    assert rig.accounts.load(ACCOUNT, "alice").aggregate.state.version == 25
    assert rig.accounts.load(ACCOUNT, "alice", until=22).aggregate.state.version == 22
    assert rig.accounts.load(ACCOUNT, "alice", until=20).aggregate.state.version == 20
    assert rig.accounts.load(ACCOUNT, "alice", until=19).aggregate.state.version == 19
    # The newest events of the first, which the snapshot is among.
    assert rig.store.read_after == [25 - INTERVAL - 1, 20, 20, 0]


def test_a_snapshot_older_than_the_newest_events_or_newer_than_their_reading_counts(rig: Rig) -> None:
    rig.store.add("alice", *[deposit()] * 25)
    rig.table.items["alice"] = broken(version={"N": "20"}, eventHash={"S": rig.store.hash("alice", 20)})
    rig.store.add("alice", *[deposit()] * 25)
    rig.store.read_after.clear()
    assert rig.accounts.load(ACCOUNT, "alice").aggregate.state.balance == 1000 * 20 + 30
    assert rig.store.read_after == [50 - INTERVAL - 1, 20]
    tail = rig.store.tail

    def overtaken(aggregate_id: str, *, limit: int) -> History:
        read = tail(aggregate_id, limit=limit)
        rig.store.add("alice", *[deposit()] * 10)
        account = Account.reconstitute("alice", [deposit()] * 60)
        rig.table.items["alice"] = encode(Snapshot(aggregate_of(account), rig.store.hash("alice", 60)))
        return read

    rig.store.tail = overtaken  # type: ignore[method-assign]
    assert rig.accounts.load(ACCOUNT, "alice").aggregate.state.balance == 60
    assert [each for each in ("ahead", "another_event") if rig.counted("snapshots_ignored", reason=each)] == []


def test_0_neither_reads_nor_writes_snapshots() -> None:
    rig = Rig(interval=0)
    for _ in range(30):
        rig.append(deposit())
    rig.close()
    assert rig.table.items == {}
    assert rig.store.read_after == [0] * 30
    assert rig.counted("snapshots_ignored", reason="missing") == 0


IGNORED = {
    "schema": broken(schemaVersion={"N": str(ACCOUNT.snapshots.schema + 1)}),
    "no JSON": broken(state={"S": "{"}),
    "no state": {name: value for name, value in broken().items() if name != "state"},
    "another type": broken(state={"N": "1"}),
    "foreign field": broken(state={"S": '{"version":20,"money":"1"}'}),
    "two versions": broken(version={"N": "19"}),
    "no version": broken(version={"S": "x"}),
    "ahead": encode(Snapshot(aggregate_of(Account.reconstitute("alice", [deposit(1000)] * 99)), None)),
}


@pytest.mark.parametrize("item", IGNORED.values(), ids=IGNORED.keys())
def test_a_snapshot_that_cannot_be_used_is_ignored_with_a_warning_and_counted(
    rig: Rig, item: Any, log_lines: list[MutableMapping[str, Any]]
) -> None:
    reason = "unreadable"
    if item is IGNORED["schema"]:
        reason = "schema"
    if item is IGNORED["ahead"]:
        reason = "ahead"
    rig.store.add("alice", *[deposit()] * 25)
    rig.table.items["alice"] = item
    loaded = rig.accounts.load(ACCOUNT, "alice")
    account = loaded.aggregate.state
    assert (account.balance, account.version, loaded.proof.number) == (Decimal(25), 25, 25)
    assert rig.counted("snapshots_ignored", reason=reason) == 1
    [warning] = [line for line in log_lines if line["event"] == "snapshot_ignored"]
    assert (warning["log_level"], warning["reason"], warning["aggregate"]) == ("warning", reason, "alice")
    assert "1000" not in str(warning)


def test_a_missing_snapshot_is_told_only_of_an_account_that_should_have_one(rig: Rig) -> None:
    rig.store.add("alice", *[deposit()] * (INTERVAL + 1))
    rig.accounts.load(ACCOUNT, "alice")
    assert rig.counted("snapshots_ignored", reason="missing") == 0
    rig.store.add("alice", deposit())
    assert rig.accounts.load(ACCOUNT, "alice").aggregate.state.version == INTERVAL + 2
    assert rig.counted("snapshots_ignored", reason="missing") == 1


def test_an_older_snapshot_never_replaces_a_newer_one(rig: Rig) -> None:
    newer, older = (
        Snapshot(aggregate_of(Account.reconstitute("alice", [deposit()] * version)), "h") for version in (20, 10)
    )
    store = SnapshotStore(cast("Any", rig.table), "s")
    assert store.save(newer)
    assert not store.save(older)
    assert not store.save(newer)
    assert decode(ACCOUNT, "alice", rig.table.items["alice"]) == newer
    rig.snapshots.offer(9, older.aggregate, older.event_hash)
    until(lambda: rig.counted("snapshots", outcome="superseded") == 1)


def test_writing_holds_nobody_up_is_bounded_and_drained_at_the_end() -> None:
    rig, release = Rig(interval=1), threading.Event()
    rig.table.before_put = blocked_until(release)
    started = time.monotonic()
    for n in range(100):
        rig.snapshots.offer(0, aggregate_of(Account.reconstitute(f"a{n}", [deposit()])), "h")
    seconds = time.monotonic() - started
    release.set()
    rig.close()
    assert seconds < 5
    assert rig.counted("snapshots", outcome="dropped") == 100 - 64
    assert len(rig.table.items) == 64
    assert rig.counted("snapshots", outcome="written") == 64


def test_the_end_waits_only_so_long() -> None:
    rig, release = Rig(interval=1), threading.Event()
    rig.table.before_put = blocked_until(release)
    for n in range(3):
        rig.snapshots.offer(0, aggregate_of(Account.reconstitute(f"a{n}", [deposit()])), "h")
    started = time.monotonic()
    rig.snapshots.close(timeout=0.2)
    assert time.monotonic() - started < 5
    release.set()


@pytest.mark.parametrize("failure", [ThrottledError("busy"), RuntimeError("bug")])
def test_a_snapshot_that_fails_fails_alone(rig: Rig, failure: Exception) -> None:
    def fail() -> None:
        raise failure

    rig.table.before_put = fail
    for _ in range(INTERVAL):
        rig.append(deposit())
    until(lambda: rig.counted("snapshots", outcome="failed") == 1)
    rig.table.before_put = lambda: None
    for _ in range(INTERVAL):
        rig.append(deposit())
    until(lambda: rig.counted("snapshots", outcome="written") == 1)


def test_a_state_that_no_item_can_hold_is_told_and_the_account_goes_on(rig: Rig) -> None:
    def betting(bets: int) -> Account:
        return Account("alice", INTERVAL, "EUR", Decimal(1), {f"{n:064d}": Decimal(1) for n in range(bets)})

    assert len(encode(Snapshot(aggregate_of(betting(5600)), "h"))["state"]["S"]) < 400 * 1024
    with pytest.raises(SnapshotError, match=r"41\d{4} bytes; DynamoDB stores at most 409600"):
        encode(Snapshot(aggregate_of(betting(5800)), "h"))
    rig.snapshots.offer(INTERVAL - 1, aggregate_of(betting(5800)), "h")
    until(lambda: rig.counted("snapshots", outcome="too_large") == 1)
    rig.append(deposit())
    assert rig.accounts.load(ACCOUNT, "alice").aggregate.state.version == 1


@given(histories(max_size=30))
def test_an_account_survives_its_snapshot(history: list[BettingEvent]) -> None:
    account = Account.reconstitute("alice", history)
    account.settled_bets.leave(account.version)
    snapshot = Snapshot(aggregate_of(account), "hash")
    assert decode(ACCOUNT, "alice", encode(snapshot)) == snapshot


def test_an_offered_account_does_not_change_under_the_writer(rig: Rig) -> None:
    rig.append(deposit())
    loaded = rig.accounts.load(ACCOUNT, "alice")
    saved = save(rig.accounts, loaded, [deposit()])
    assert saved.aggregate.state is not loaded.aggregate.state
    assert (loaded.aggregate.state.version, saved.aggregate.state.version) == (1, 2)
    copy = saved.aggregate.state.copy()
    copy.apply(BetSettled(bet_id="b", payout=Decimal(1), currency="EUR"))
    assert "b" not in saved.aggregate.state.settled_bets
