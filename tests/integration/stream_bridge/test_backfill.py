"""Events put on the stream again: which, how often, and after being ended."""

import contextlib
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from ledger.runtime.aws import Clients
from ledger.store import parallel_scan, resumable_job
from ledger.store.errors import JobLostError, JobRunningError, NoSuchAggregateError
from ledger.store.parallel_scan import Cursor
from ledger.store.stored_event import StoredEvent
from ledger.store.tables import Names
from stream_bridge.backfill.backfill import Backfill, Outcome
from stream_bridge.backfill.progress import BackfillJob, BackfillStore
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


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resumable_job, "BEAT", 0.2)
    monkeypatch.setattr(resumable_job, "STALE", 1.5)
    monkeypatch.setattr(resumable_job, "_LOOK", 0.1)


@pytest.fixture
def jobs(clients: Clients, ledger_tables: Names) -> BackfillStore:
    return BackfillStore(clients.dynamodb, ledger_tables.bridge)


@pytest.fixture
def make(
    clients: Clients, ledger_tables: Names, publisher: Publisher, jobs: BackfillStore, stop: threading.Event
) -> Callable[..., Backfill]:
    def backfill(progress: Reported | None = None, **rates: Any) -> Backfill:
        return Backfill(clients.dynamodb, ledger_tables.events, publisher, jobs, progress or Reported(), stop, **rates)

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
    with pytest.raises(NoSuchAggregateError, match="nobody"):
        make().run(Selection(("alice", "nobody")))
    assert on_stream() == []
    selection = Selection(("alice", "carol"))
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
    monkeypatch.setattr(parallel_scan, "PAGE", 10)
    events = [event for number in range(10) for event in append(f"acc-{number}", 20)]
    with pytest.raises(CrashedError):
        make(Reported(at)).run(Selection(), segments=2)
    stop.clear()
    progress = Reported()
    outcome = make(progress).run(Selection(), segments=5)
    assert progress.done >= at - 20, "at most a page of each segment is read again"
    assert "resuming" in progress.said[1]
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
    monkeypatch.setattr(parallel_scan, "PAGE", 10)
    append("alice", 100)
    outcome = make(Reported(50, stop.set)).run(Selection(), segments=1)
    assert (outcome.read, outcome.ended) == (50, False)
    stop.clear()
    assert make().run(Selection(), segments=1) == Outcome(read=100, published=100)


def test_a_second_one_is_refused_while_the_first_one_runs(
    make: Callable[..., Backfill], append: Append, on_stream: OnStream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parallel_scan, "PAGE", 10)
    events = append("alice", 100)
    refused = list[str]()

    def second() -> None:
        for restart in (False, True):
            with pytest.raises(JobRunningError, match="is being run by another process") as error:
                make().run(Selection(), restart=restart)
            refused.append(str(error.value))
        old = Selection(("alice",), until=datetime(2020, 1, 1, tzinfo=UTC))
        assert make().run(old).published == 0, "another selection is another backfill"

    assert make(Reported(40, second)).run(Selection(), segments=1).read == 100
    assert len(refused) == 2
    assert Counter(map(key, on_stream())) == dict.fromkeys(map(key, events), 1), "neither put anything"


def test_one_that_was_interrupted_says_what_it_keeps_and_restart_begins_anew(
    make: Callable[..., Backfill], append: Append, monkeypatch: pytest.MonkeyPatch, stop: threading.Event
) -> None:
    monkeypatch.setattr(parallel_scan, "PAGE", 10)
    append("alice", 100)

    def interrupted() -> Reported:
        with pytest.raises(CrashedError):
            make(Reported(50)).run(Selection(), segments=1)
        stop.clear()
        return Reported()

    progress = interrupted()
    assert make(progress, rate=700).run(Selection(), segments=3) == Outcome(read=100, published=100)
    (checking, resuming) = progress.said
    assert "backfill of all accounts did not end; checking whether it is still running" in checking
    assert "keeps its segments (1) and what is done (50 events read, 50 put)" in resuming
    assert "at most 700 events put a second, no limit to reading" in resuming
    progress = interrupted()
    assert make(progress).run(Selection(), segments=3, restart=True) == Outcome(read=100, published=100)
    assert progress.said[1] == "beginning anew; the interrupted run had read 50 events"
    assert progress.done == 0


def test_one_that_stood_still_and_was_taken_over_records_nothing_more(
    make: Callable[..., Backfill],
    append: Append,
    on_stream: OnStream,
    jobs: BackfillStore,
    monkeypatch: pytest.MonkeyPatch,
    stop: threading.Event,
) -> None:
    monkeypatch.setattr(parallel_scan, "PAGE", 10)
    events = append("alice", 100)

    def take_over() -> None:
        while (found := jobs.read("all accounts")) is not None and found.token != "other":
            with contextlib.suppress(JobRunningError):  # a beat may come in between
                jobs.take_over(found, "other")

    with pytest.raises(JobLostError, match="another one took it over"):
        make(Reported(40, take_over)).run(Selection(), segments=1)
    stop.clear()
    found = jobs.read("all accounts")
    assert found is not None
    assert found.token == "other"
    make().run(Selection())
    assert set(map(key, on_stream())) == set(map(key, events))


def test_an_answer_that_was_lost_is_recognised_as_ones_own(jobs: BackfillStore) -> None:
    job = BackfillJob(name="all accounts", token="me", cursors=(Cursor(),))
    jobs.start(job)
    jobs.start(job)
    with pytest.raises(JobRunningError):
        jobs.start(replace(job, token="other"))
    moved = jobs.save(job)
    with pytest.raises(JobRunningError):
        jobs.take_over(job, "other")
    taken = jobs.take_over(moved, "other")
    job = moved
    assert jobs.take_over(job, "other") == taken
    with pytest.raises(JobRunningError):
        jobs.take_over(job, "third")
    with pytest.raises(JobLostError):
        jobs.save(job)
    with pytest.raises(JobLostError):
        jobs.end(job)
    assert jobs.save(taken) == jobs.save(taken) == jobs.read("all accounts")
    jobs.end(taken)
    jobs.end(taken)
    assert jobs.read("all accounts") is None
    with pytest.raises(JobLostError):
        jobs.save(taken)


def test_a_row_of_an_earlier_version_is_resumed_unless_it_moves(
    make: Callable[..., Backfill], append: Append, jobs: BackfillStore, clients: Clients, ledger_tables: Names
) -> None:
    """Versions before the beat wrote the same row without one."""
    append("alice", 5)
    progress = Reported()

    def record(published: int) -> None:
        row: dict[str, Any] = {
            "id": {"S": "backfill~all accounts"},
            "runner": {"S": "old"},
            "published": {"N": str(published)},
            "cursors": {"L": [{"M": Cursor().to_item()}]},
        }
        clients.dynamodb.put_item(TableName=ledger_tables.bridge, Item=row)

    record(1)
    found = jobs.read("all accounts")
    assert found is not None
    record(2)
    with pytest.raises(JobRunningError):
        jobs.check_interrupted([found], threading.Event())
    assert make(progress).run(Selection()) == Outcome(read=5, published=7)
    assert "(0 events read, 2 put)" in progress.said[1]


def key(event: StoredEvent) -> tuple[str, int]:
    return event.aggregate_id, event.sequence_number
