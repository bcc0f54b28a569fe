"""A few halted accounts are bad events; many within the window are a bad deploy."""

from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from projector.dead_letters.storm_guard import StormError, StormGuard


class Clock:
    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def test_one_account_over_the_limit_is_a_storm_that_names_account_and_reason() -> None:
    guard = StormGuard(2, 60.0, Clock())
    guard.halted("alice", "schema")
    guard.halted("bob", "schema")
    with pytest.raises(StormError, match=r"3 aggregates were halted within 60 s, the last one carol \(no such field\)"):
        guard.halted("carol", "no such field")
    assert StormError.exit_code == 3


def test_what_was_halted_before_the_window_no_longer_counts() -> None:
    clock = Clock()
    guard = StormGuard(1, 60.0, clock)
    for clock.seconds in (0.0, 60.5, 121.0):
        guard.halted("alice", "schema")
    clock.seconds = 181.0
    with pytest.raises(StormError):
        guard.halted("bob", "schema")


@given(
    st.integers(1, 4),
    st.lists(st.tuples(st.sampled_from([0, 1, 5, 10, 11, 30]), st.sampled_from("abcdef")), min_size=1, max_size=30),
)
def test_a_storm_is_more_accounts_than_the_limit_within_any_window(limit: int, halts: list[tuple[int, str]]) -> None:
    """However many letters and halts each account has: one for each read model, and one for each redrive."""
    clock = Clock()
    guard = StormGuard(limit, 10.0, clock)
    times = list(accumulate(pause for pause, _ in halts))
    for number, (moment, (_, account)) in enumerate(zip(times, halts, strict=True)):
        clock.seconds = moment
        recent = {who for when, (_, who) in zip(times[: number + 1], halts, strict=False) if moment - when <= 10}
        if len(recent) > limit:
            with pytest.raises(StormError, match=f"^{len(recent)} aggregates"):
                guard.halted(account, "schema")
        else:
            guard.halted(account, "schema")
