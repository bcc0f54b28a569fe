"""What a projection shows of events, by the engine itself."""

import subprocess
import sys
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from betting.events import FundsDeposited, FundsWithdrawn
from betting.projections.balance_summary import BALANCE_SUMMARY
from betting.projections.daily_activity import DAILY_ACTIVITY, DailyActivity
from kinfold.testing import Dated, at, project
from loyalty.member import PointsEarned
from projector.projection import UnprojectableEventError

TEN = FundsDeposited(amount=Decimal(10), currency="EUR")
FOUR_OUT = FundsWithdrawn(amount=Decimal(4), currency="EUR")
ZERO = Decimal(0)


def test_the_parts_are_by_name_and_follow_the_times() -> None:
    rows = project(DAILY_ACTIVITY, at("2026-01-31T23:59", TEN), FOUR_OUT, at("2026-02-01", TEN))
    assert rows.parts == {
        "2026-01-31": DailyActivity("EUR", Decimal(10), Decimal(4), ZERO, ZERO, 2),
        "2026-02-01": DailyActivity("EUR", Decimal(10), ZERO, ZERO, ZERO, 1),
    }
    assert (rows.state, rows.head.version, rows.rows["2026-01-31"].version) == (None, 3, 2)


def test_a_projection_without_parts_has_its_state_in_the_head() -> None:
    rows = project(BALANCE_SUMMARY, TEN, FOUR_OUT)
    assert rows.state is not None
    assert rows.state.balance == 6
    assert not rows.parts


def test_what_it_cannot_fold_is_raised() -> None:
    with pytest.raises(UnprojectableEventError, match=r"event 2 cannot be applied: it takes the balance of 10\.00 to"):
        project(BALANCE_SUMMARY, TEN, FundsWithdrawn(amount=Decimal(11), currency="EUR"), TEN)


def test_events_of_another_aggregate_are_refused() -> None:
    with pytest.raises(TypeError, match="balance-summary: give events of one aggregate that it takes"):
        project(BALANCE_SUMMARY, TEN, PointsEarned(points=1))
    with pytest.raises(TypeError):
        project(BALANCE_SUMMARY)


def test_a_time_is_utc_unless_it_says() -> None:
    noon = Dated(datetime(2026, 1, 31, 12, tzinfo=UTC), TEN)
    assert at("2026-01-31T12:00", TEN) == at("2026-01-31T13:00+01:00", TEN) == at(noon.moment, TEN) == noon
    with pytest.raises(ValueError):
        at("31 January", TEN)


def test_nothing_else_of_kinfold_needs_pytest_or_hypothesis() -> None:
    script = "import sys, kinfold.cli; assert not {'pytest', 'hypothesis', 'kinfold.testing'} & sys.modules.keys()"
    subprocess.run([sys.executable, "-c", script], check=True)
