"""Events put on the stream again: which, how often, and after being ended."""

import threading
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from ledger.runtime.aws import Clients
from ledger.store import parallel_scan as segments
from ledger.store.stored_event import StoredEvent
from ledger.store.tables import Names
from stream_bridge.backfill.backfill import Backfill, Outcome
from stream_bridge.backfill.progress import BackfillLostError, BackfillStates
from stream_bridge.backfill.publisher import Publisher
from stream_bridge.backfill.selection import Selection

pytestmark = pytest.mark.integration

Append = Callable[..., list[StoredEvent]]
OnStream = Callable[[], list[StoredEvent]]


class CrashedError(Exception):
    """What stands for a kill."""


class Reported:
    """Hears of a backfill; crashes it, or does something else, once so many events are read."""

    def __init__(self, at: int | None = None, then: Callable[[], object] | None = None) -> None:
        self._at = at
        self._then = then
        self.said: list[str] = []

    def begin(self, work: str, phase: str, total: int, done: int) -> None:
        self.done = done

    def advance(self, work: str, done: int) -> None:
        if self._at is not None and done >= self._at:
            self._at = None
            if self._then is None:
                raise CrashedError
            self._then()

    def report(self, text: str) -> None:
        self.said.append(text)


@pytest.fixture
def make(
    clients: Clients, ledger_tables: Names, publisher: Publisher, stop: threading.Event
) -> Callable[..., Backfill]:
    states = BackfillStates(clients.dynamodb, ledger_tables.bridge)

    def backfill(progress: Reported | None = None) -> Backfill:
        return Backfill(clients.dynamodb, ledger_tables.events, publisher, states, progress or Reported(), stop)

    return backfill


def test_all_accounts(make: Callable[..., Backfill], append: Append, on_stream: OnStream) -> None:
    events = [event for number in range(7) for event in append(f"acc-{number}", 30)]
    assert make().count(Selection()) == Outcome(read=210, published=210)
    assert on_stream() == []
    assert make().run(Selection(), segments=3) == Outcome(read=210, published=210)
    shown = on_stream()
    assert sorted(shown, key=key) == sorted(events, key=key)
    make().run(Selection())
    assert Counter(map(key, on_stream())) == dict.fromkeys(map(key, events), 2), "a second run begins anew"


def test_by_account(make: Callable[..., Backfill], append: Append, on_stream: OnStream) -> None:
    alice, _, carol = append("alice", 1100), append("bob", 5), append("carol", 3)
    selection = Selection(("alice", "carol", "nobody"))
    assert make().count(selection) == Outcome(read=1103, published=1103)
    assert make().run(selection) == Outcome(read=1103, published=1103)
    shown = on_stream()
    assert [event for event in shown if event.aggregate_id == "alice"] == alice, "an account's events are in order"
    assert [event for event in shown if event.aggregate_id == "carol"] == carol
    assert len(shown) == 1103


@pytest.mark.parametrize("accounts", [(), ("alice", "bob")])
def test_by_time(make: Callable[..., Backfill], append: Append, on_stream: OnStream, accounts: tuple[str, ...]) -> None:
    noon = [datetime(2026, 1, day, 12, tzinfo=UTC) for day in (1, 2, 3, 4)]
    stored = [append(account, 2, moment) for moment in noon for account in ("alice", "bob")]
    for since, until, days in (
        (noon[1], noon[3], [1, 2]),
        (noon[2], None, [2, 3]),
        (None, noon[1], [0]),
        (noon[0].replace(microsecond=1), noon[1].replace(microsecond=1), [1]),
    ):
        selection = Selection(accounts, since, until)
        wanted = [event for day in days for events in stored[2 * day : 2 * day + 2] for event in events]
        assert make().count(selection).published == len(wanted)
        before = Counter(map(key, on_stream()))
        assert make().run(selection).published == len(wanted)
        assert Counter(map(key, on_stream())) - before == Counter(map(key, wanted))


@pytest.mark.parametrize("at", [20, 60, 150])
def test_one_that_was_killed_goes_on_where_it_was(
    make: Callable[..., Backfill],
    append: Append,
    on_stream: OnStream,
    monkeypatch: pytest.MonkeyPatch,
    stop: threading.Event,
    at: int,
) -> None:
    monkeypatch.setattr(segments, "PAGE", 10)
    events = [event for number in range(10) for event in append(f"acc-{number}", 20)]
    with pytest.raises(CrashedError):
        make(Reported(at)).run(Selection(), segments=2)
    stop.clear()
    progress = Reported()
    outcome = make(progress).run(Selection(), segments=5)
    assert progress.done >= at - 20, "at most a page of each segment is read again"
    assert "going on" in progress.said[0]
    assert (outcome.read, outcome.ended) == (200, True)
    shown = Counter(map(key, on_stream()))
    assert set(shown) == set(map(key, events))
    assert sum(shown.values()) <= 200 + 2 * 10
    # It is done: the next run is another one.
    again = Reported()
    assert make(again).run(Selection()).read == 200
    assert again.done == 0


def test_one_that_is_stopped_says_so_and_goes_on(
    make: Callable[..., Backfill], append: Append, monkeypatch: pytest.MonkeyPatch, stop: threading.Event
) -> None:
    monkeypatch.setattr(segments, "PAGE", 10)
    append("alice", 100)
    outcome = make(Reported(50, stop.set)).run(Selection(), segments=1)
    assert (outcome.read, outcome.ended) == (50, False)
    stop.clear()
    assert make().run(Selection(), segments=1) == Outcome(read=100, published=100)


def test_of_two_at_once_the_later_one_goes_on(
    make: Callable[..., Backfill],
    append: Append,
    on_stream: OnStream,
    clients: Clients,
    ledger_tables: Names,
    monkeypatch: pytest.MonkeyPatch,
    stop: threading.Event,
) -> None:
    monkeypatch.setattr(segments, "PAGE", 10)
    events = append("alice", 100)
    states = BackfillStates(clients.dynamodb, ledger_tables.bridge)
    taken_up = Reported(40, lambda: states.take_up(str(Selection()), 1))
    with pytest.raises(BackfillLostError, match="another process went on"):
        make(taken_up).run(Selection(), segments=1)
    stop.clear()
    make().run(Selection())
    assert set(map(key, on_stream())) == set(map(key, events))


def key(event: StoredEvent) -> tuple[str, int]:
    return event.aggregate_id, event.sequence_number
