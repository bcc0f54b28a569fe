"""A series of any length stays small and hides nothing: its lowest, highest and last values are those of all events."""

import re
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.folds.series import Point, Series
from console.looking.step_chart import WIDTH, step_chart

values = st.lists(st.floats(-1e9, 1e9).map(lambda value: round(value, 2)), min_size=1, max_size=300)


@given(values, st.sampled_from([2, 8, 64]))
def test_no_value_is_lost_to_sight(given: list[float], most: int) -> None:
    series = Series(most)
    for at, value in enumerate(given):
        series.add(float(at), value)
    points = series.seen()
    assert len(points) <= most
    assert min(each.low for each in points) == min(given)
    assert max(each.high for each in points) == max(given)
    assert points[-1].last == given[-1]
    assert points[-1].at == len(given) - 1
    assert [each.at for each in points] == sorted(each.at for each in points)
    assert all(each.low <= each.last <= each.high for each in points)


@given(values)
def test_a_chart_draws_within_its_frame_and_says_what_it_shows(given: list[float]) -> None:
    series = Series(64)
    for at, value in enumerate(given):
        series.add(float(at), value)
    chart = step_chart("balance", series.seen())
    assert chart is not None
    assert all(0 <= tick.at <= chart.base for tick in chart.across)
    assert f"{given[-1]:,.2f} at last" in chart.summary
    numbers = [float(part) for part in chart.path.replace("M", " ").replace("H", " ").replace("V", " ").split()]
    assert all(0 <= number <= chart.width for number in numbers)


@pytest.mark.parametrize("seed", range(5))
def test_a_chart_draws_at_most_a_step_a_column_and_still_every_peak(seed: int) -> None:
    random = Random(seed)
    given = [random.uniform(-1e9, 1e9) for _ in range(2000)]
    points = [Point(float(at), value, value, value) for at, value in enumerate(given)]
    chart = step_chart("balance", points)
    assert chart is not None
    assert chart.path.count("H") <= WIDTH
    heights = [float(part) for part in re.findall(r"[V ]([\d.]+)", chart.path)]
    few = [Point(float(at), value, value, value) for at, value in enumerate((min(given), max(given), given[-1]))]
    of_few = step_chart("balance", few)
    assert of_few is not None
    peaks = [float(part) for part in re.findall(r"[V ]([\d.]+)", of_few.path)]
    assert (min(heights), max(heights)) == (min(peaks), max(peaks))


def test_without_events_there_is_no_chart() -> None:
    assert step_chart("balance", []) is None
