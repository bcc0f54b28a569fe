"""How fast and how long: known where it can be, and no number where it cannot."""

import pytest

from ledger.runtime.measuring.pace import Pace


def test_a_run_that_goes_on_counts_from_where_it_began_itself() -> None:
    pace = Pace(done=900, total=1000, own=100, seconds=10)
    assert (pace.rate, pace.seconds_left) == (10, 10)


@pytest.mark.parametrize("pace", [Pace(500, 1000, 0, 30), Pace(500, 1000, 10, 0)])
def test_what_has_done_nothing_has_no_rate_and_no_end(pace: Pace) -> None:
    assert (pace.rate, pace.seconds_left) == (None, None)


def test_nobody_knows_how_much_follows_what_was_said_to_be_all() -> None:
    assert Pace(1000, 1000, 100, 10).seconds_left is None
    assert Pace(1001, 1000, 100, 10).rate == 10
