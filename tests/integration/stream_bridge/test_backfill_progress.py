"""What another process sees of a backfill: how far it is, how fast this run is, what it costs, and whether it runs."""

import threading
from collections.abc import Callable, Iterator

import pytest

from ledger.runtime.aws import Clients
from ledger.runtime.measuring.capacity import CapacityUnits, metered
from ledger.store import parallel_scan, resumable_job
from ledger.store.resumable_job import JobProgress, JobWatch
from ledger.store.stored_event import StoredEvent
from ledger.store.tables import Names
from stream_bridge.backfill.backfill import Backfill
from stream_bridge.backfill.progress import BackfillJob, BackfillStore
from stream_bridge.backfill.publisher import Publisher
from stream_bridge.backfill.selection import Selection
from tests.support.waiting import until

pytestmark = pytest.mark.integration

ALL = "all accounts"


class CrashedError(Exception):
    """What stands for a kill."""


class At:
    """Does something once so many events are read; no segment goes on meanwhile, nor after what it raises."""

    def __init__(self, read: int, then: Callable[[], object]) -> None:
        self._read, self._then = read, then
        self._lock = threading.Lock()

    def begin(self, work: str, phase: str, total: int, done: int) -> None: ...

    def advance(self, work: str, done: int) -> None:
        with self._lock:
            if done >= self._read:
                self._then()
                self._read = 10**9

    def report(self, text: str) -> None: ...


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resumable_job, "BEAT", 0.2)
    monkeypatch.setattr(resumable_job, "STALE", 1.5)
    monkeypatch.setattr(resumable_job, "_LOOK", 0.1)
    monkeypatch.setattr(parallel_scan, "PAGE", 10)


@pytest.fixture
def jobs(clients: Clients, ledger_tables: Names) -> BackfillStore:
    return BackfillStore(clients.dynamodb, ledger_tables.bridge)


@pytest.fixture
def units(clients: Clients) -> Iterator[CapacityUnits]:
    with metered(clients.dynamodb) as units:
        yield units


def crash() -> None:
    raise CrashedError


def test_one_that_was_killed_and_resumed_has_the_rate_of_this_run_alone(
    clients: Clients,
    ledger_tables: Names,
    publisher: Publisher,
    append: Callable[..., list[StoredEvent]],
    jobs: BackfillStore,
    units: CapacityUnits,
    stop: threading.Event,
) -> None:
    for number in range(10):
        append(f"acc-{number}", 20)

    def run(progress: At) -> None:
        args = (clients.dynamodb, ledger_tables.events, publisher, jobs, progress, stop)
        Backfill(*args, units=units).run(Selection(), segments=2)

    with pytest.raises(CrashedError):
        run(At(120, crash))
    stop.clear()
    ((dead, shown),) = jobs.watched([ALL])
    assert dead.run is not None
    assert (dead.run.items, shown.total) == (dead.read, 200)
    assert (shown.runs, shown.rate, shown.seconds_left) == (False, None, None), "it is dead, whatever its last rate was"
    taken = jobs.take_over(dead, "another")
    assert taken.run is None
    assert jobs.read(ALL) == taken, "what the row still has of the dead one's run is not taken for its own"

    seen: list[tuple[BackfillJob, JobProgress]] = []

    def look() -> None:
        """As another process does, while this one is at work."""
        watch = JobWatch()

        def told() -> bool:
            job = jobs.read(ALL)
            assert job is not None
            seen.append((job, watch.look(job)))
            return seen[-1][1].rate is not None

        until(told)

    run(At(dead.read + 20, look))
    assert all(shown.rate is None for job, shown in seen if job.run is None or not shown.runs)
    job, shown = seen[-1]
    assert job.run is not None
    assert job.run.items == job.read - dead.read, "what the dead one has read is not this one's"
    assert shown.rate == pytest.approx(job.run.items / job.run.seconds)
    assert shown.seconds_left == pytest.approx((200 - job.read) / (job.run.items / job.run.seconds))
    assert shown.read_units
    assert dead.run.units is not None
    assert jobs.watched([ALL]) == [], "it has ended"
