"""The heartbeat of a job, and the watcher that tells a running one from an interrupted one."""

import threading
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast

import pytest
from mypy_boto3_dynamodb import DynamoDBClient

from ledger.errors import EndpointError, ResourceError
from ledger.runtime.measuring.capacity import Units
from ledger.store import resumable_job
from ledger.store.errors import JobLostError, JobRunningError
from ledger.store.parallel_scan import Cursor
from ledger.store.resumable_job import JobHeartbeat, JobStore, ResumableJob
from tests.support.waiting import until

JOB = ResumableJob(name="job", token="me", cursors=(Cursor(), Cursor()))


class Store(JobStore[ResumableJob]):
    """Keeps what is saved; the next saves fail with ``failures``, the next reads give ``reads``."""

    _running = "{0.name} runs"

    def __init__(self, *failures: Exception, reads: list[ResumableJob | None] | None = None) -> None:
        super().__init__(cast("DynamoDBClient", None), "table")
        self.saved: list[ResumableJob] = []
        self.failures = list(failures)
        self.reads = reads or []

    def save(self, job: ResumableJob) -> ResumableJob:
        if self.failures:
            raise self.failures.pop(0)
        self.saved.append(replace(job, beat=job.beat + 1))
        return self.saved[-1]

    def read(self, name: str) -> ResumableJob | None:
        return self.reads.pop(0) if self.reads else JOB

    def _key(self, name: str) -> dict[str, Any]:
        raise NotImplementedError

    def _details(self, job: ResumableJob) -> dict[str, Any]:
        raise NotImplementedError

    def _fields(self, row: Mapping[str, Any]) -> dict[str, Any]:
        raise NotImplementedError


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resumable_job, "BEAT", 0.01)
    monkeypatch.setattr(resumable_job, "STALE", 0.1)
    monkeypatch.setattr(resumable_job, "_LOOK", 0.01)


def test_a_beat_records_how_far_each_segment_is() -> None:
    store = Store()
    with JobHeartbeat(store, [JOB], threading.Event()) as heartbeat:
        heartbeat.advance("job", 7, at={1: Cursor(items=7)})
        heartbeat.advance("job", 5, at={0: Cursor(items=5)})
        until(lambda: store.saved and store.saved[-1].read == 12)
    assert [job.beat for job in store.saved] == list(range(1, len(store.saved) + 1))
    assert store.saved[-1].cursors == (Cursor(items=5), Cursor(items=7))


def test_a_beat_records_what_this_process_has_read_and_for_how_long() -> None:
    store, half = Store(), replace(JOB, cursors=(Cursor(items=500), Cursor()))
    with JobHeartbeat(store, [half], threading.Event()) as heartbeat:
        until(lambda: store.saved)
        assert store.saved[-1].run is None, "it has not begun to read"
        heartbeat.begin_reading("job", 1000)
        heartbeat.advance("job", 30, Units(2))
        heartbeat.advance("job", 10, Units(1, 4), {0: Cursor(items=540)})
        first = until(lambda: store.saved[-1].run, lambda run: run is not None and run.items == 40 and run.seconds > 0)
        assert first is not None
        assert (first.total, first.units) == (1000, Units(3, 4))
        until(lambda: store.saved[-1].run, lambda run: run is not None and run.seconds > first.seconds)
        for segment in (0, 1):
            heartbeat.advance("job", 0, at={segment: Cursor(items=540, ended=True)})
        ended = until(lambda: store.saved[-1], lambda job: all(each.ended for each in job.cursors))
        after = len(store.saved)
        until(lambda: len(store.saved) > after + 15)
    assert store.saved[-1].run == ended.run, "what is read is not read any slower while it waits to be shown"


def test_no_beat_comes_between_what_was_read_and_how_far_its_segment_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resumable_job, "BEAT", 0.0001)
    store = Store()
    with JobHeartbeat(store, [JOB], threading.Event()) as heartbeat:
        heartbeat.begin_reading("job", 1000)
        until(lambda: store.saved)
        for read in range(1, 3001):
            heartbeat.advance("job", 1, at={0: Cursor(items=read)})
        until(lambda: store.saved[-1].read == 3000)
    assert all(job.run is None or job.run.items == job.read for job in store.saved)


def test_a_beat_that_is_held_up_is_followed_by_another() -> None:
    store = Store(EndpointError("away"), EndpointError("away"))
    with JobHeartbeat(store, [JOB], stop := threading.Event()) as heartbeat:
        until(lambda: store.saved)
        heartbeat.check()
    assert not stop.is_set()


@pytest.mark.parametrize("error", [JobLostError("taken over"), ResourceError("no table")])
def test_what_ends_the_beats_stops_the_work_and_is_raised_in_it(error: Exception) -> None:
    store, stop = Store(error), threading.Event()
    with JobHeartbeat(store, [JOB], stop) as heartbeat:
        assert stop.wait(10)
        with pytest.raises(type(error)):
            heartbeat.check()
        with pytest.raises(type(error)):
            heartbeat.end("job", lambda _: None)
    assert heartbeat.jobs == [JOB]


def test_no_beat_follows_the_end_of_a_job() -> None:
    store, ended = Store(), list[ResumableJob]()
    other = replace(JOB, name="other")
    with JobHeartbeat(store, [JOB, other], threading.Event()) as heartbeat:
        heartbeat.end("job", ended.append)
        after = len(store.saved)
        until(lambda: len(store.saved) > after + 2)
        heartbeat.save("job")
    assert {job.name for job in store.saved[after:]} == {"other"}
    assert [job.name for job in ended] == ["job"]


def test_a_job_that_stands_still_is_interrupted() -> None:
    Store().check_interrupted([JOB], threading.Event())
    Store(reads=[None]).check_interrupted([], threading.Event())


@pytest.mark.parametrize(
    "moved",
    [None, replace(JOB, beat=1), replace(JOB, token="other"), replace(JOB, cursors=(Cursor(items=1), Cursor()))],
)
def test_a_job_that_moves_or_ends_is_running(moved: ResumableJob | None) -> None:
    with pytest.raises(JobRunningError, match="job runs"):
        Store(reads=[JOB, JOB, moved]).check_interrupted([JOB], threading.Event())


def test_a_watcher_that_is_stopped_has_not_found_out() -> None:
    stop = threading.Event()
    stop.set()
    with pytest.raises(JobRunningError, match="stopped before it was known"):
        Store().check_interrupted([JOB], stop)


def test_the_refusal_ends_a_command_as_busy() -> None:
    assert JobRunningError.exit_code == 6
