"""What a record tells of a job: its process's own pace, whether it runs, and no number that nobody knows."""

from dataclasses import replace
from typing import Any

import pytest

from ledger.runtime.cli_output import to_json
from ledger.runtime.measuring.capacity import Units
from ledger.store.parallel_scan import Cursor
from ledger.store.resumable_job import STALE, JobProgress, JobWatch, ResumableJob, Run

JOB = ResumableJob(name="job", token="me", cursors=(Cursor(items=600), Cursor(items=300)))
RUN = Run(total=1000, items=100, seconds=10.0, units=Units(20, 5))


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize("run", [RUN, replace(RUN, units=None), Run(7), replace(RUN, seconds=0.1, units=Units(1 / 3))])
def test_a_run_is_recorded_for_the_process_that_it_is_of(run: Run) -> None:
    item = run.to_item("me")
    assert Run.from_item(item, "me") == run
    assert Run.from_item(item, "another") is None


def test_a_running_one_tells_its_own_pace_of_what_is_left() -> None:
    shown = JobProgress.of(replace(JOB, run=RUN), runs=True)
    assert shown == JobProgress(True, 900, 1000, 10.0, 10.0, 20, 5)
    assert str(shown) == (
        "900 of about 1,000 events read, 10.0 a second, 0:00:10 left, 20 read and 5 write units in this run"
    )
    assert to_json(shown)["secondsLeft"] == 10.0


@pytest.mark.parametrize("runs", [None, False])
def test_one_that_is_not_known_to_run_has_no_rate_and_no_end(runs: bool | None) -> None:
    shown = JobProgress.of(replace(JOB, run=RUN), runs)
    assert (shown.read, shown.total, shown.rate, shown.seconds_left) == (900, 1000, None, None)
    assert "interrupted" in str(shown) if runs is False else "rate not known, time left not known" in str(shown)


def test_where_nothing_is_recorded_no_number_is_shown() -> None:
    shown = JobProgress.of(JOB, runs=True)
    assert shown == JobProgress(True, 900)
    assert str(shown) == "900 events read, rate not known, time left not known"


def test_more_events_than_the_table_was_said_to_have_leave_the_end_open() -> None:
    shown = JobProgress.of(replace(JOB, run=replace(RUN, total=800)), runs=True)
    assert (shown.total, shown.rate, shown.seconds_left) == (900, 10.0, None)


def looks(*steps: tuple[float, dict[str, Any]]) -> list[bool | None]:
    """What a watch says of a job that it sees so after so many seconds each."""
    clock = Clock()
    watch, found = JobWatch(clock), []
    for seconds, changes in steps:
        clock.now += seconds
        found.append(watch.look(replace(JOB, **changes)).runs)
    return found


def test_a_beat_that_rises_is_a_process_and_one_that_stands_is_none() -> None:
    assert looks((0, {}), (2, {}), (2, {"beat": 1}), (2, {"beat": 1})) == [None, None, True, True]
    assert looks((0, {}), (STALE, {}), (2, {"beat": 1})) == [None, False, True]
    assert looks((0, {}), (2, {"beat": 1}), (STALE, {"beat": 1}), (1, {"token": "other"})) == [None, True, False, True]


def test_a_look_of_long_ago_tells_nothing() -> None:
    assert looks((0, {}), (3600, {"beat": 9}), (2, {"beat": 9}), (STALE, {"beat": 9})) == [None, None, None, False]


def test_jobs_of_one_name_and_another_kind_are_told_apart() -> None:
    class Other(ResumableJob):
        pass

    watch = JobWatch()
    assert watch.look(JOB).runs is None
    assert watch.look(Other(name="job", token="you", beat=3, cursors=())).runs is None
