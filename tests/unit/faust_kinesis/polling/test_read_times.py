"""When shards are read: once an interval, and all of a worker at the same moments."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faust_kinesis.polling.shard_runner import next_read

LATE = st.lists(st.floats(-1e-9, 0.9), max_size=40)


def moments(started: float, interval: float, late: list[float]) -> list[float]:
    """When a shard is read that wakes up so late each time, in parts of an interval, or early by the clock's step."""
    reads = [started]
    for part in late:
        reads.append(next_read(reads[-1], interval) + part * interval)
    return reads


@given(interval=st.floats(0.05, 10), started=st.floats(0, 1e6))
def test_a_read_follows_after_an_interval_half_of_one_more_or_less(interval: float, started: float) -> None:
    gap = next_read(started, interval) - started
    assert 0.5 * interval - 1e-6 <= gap <= 1.5 * interval + 1e-6


@given(interval=st.floats(0.25, 10), started=st.floats(0, 1e6), late=LATE)
def test_shards_meet_at_the_same_moments_whatever_held_them_up(
    interval: float, started: float, late: list[float]
) -> None:
    last = moments(started, interval, [*late, *[0.0] * 4])[-1]
    assert last / interval == pytest.approx(round(last / interval), abs=1e-6)


@given(interval=st.floats(0.2, 1), started=st.floats(0, 1e6), late=LATE)
def test_a_shard_is_never_asked_more_often_than_it_answers(interval: float, started: float, late: list[float]) -> None:
    reads = moments(started, interval, late)
    for at, moment in enumerate(reads):
        assert sum(each < moment + 1 - 1e-6 for each in reads[at:]) <= 5
