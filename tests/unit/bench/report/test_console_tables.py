"""The console's tables and targets: the slowest screen and the dearest tab decide."""

from typing import Any

from bench.report.tables import render
from bench.report.targets import targets
from tests.unit.bench.report.test_writer_tables import MACHINE


def found(**slow: float) -> dict[str, Any]:
    screen = {"cold_millis": 100.0, "cold_is_whole": True, "reading_max_millis": 0.0, "whole_after_seconds": 0.0}
    screen |= {"p50_millis": 10.0, "max_millis": 20.0, "cpu_millis": 5.0, "calls": 2.0, "kilobytes": 12.3}
    tabs = [
        {"page": "none", "tabs": 0, "core": 0.5, "calls_per_second": 9.0},
        {"page": "stream", "tabs": 5, "core": 0.03, "calls_per_second": 4.0},
    ]
    screens = {"list": screen, "step 1": screen | slow}
    return {"console": {"machine": MACHINE, "events": 1000, "screens": screens, "tabs": tabs}}


def test_every_time_of_a_screen_counts() -> None:
    assert [each.reached for each in targets(found())] == [True, True, True]
    for name in ("cold_millis", "reading_max_millis", "max_millis"):
        screen, *tabs = targets(found(**{name: 301.0}))
        assert (screen.reached, "301 ms (step 1)" in screen.measured) == (False, True)
        assert all(each.reached for each in tabs)


def test_a_tab_is_counted_by_itself_and_none_is_none() -> None:
    results = found()
    results["console"]["tabs"][1] |= {"core": 0.05, "calls_per_second": 10.0}
    assert [each.reached for each in targets(results)] == [True, False, False]
    tables = render(results)
    assert "| list | 100 | - | 10 | 20 | 5 | 2 | 12.3 | - |" in tables["console"]
    assert "| stream | 5 | 5 | 1 | 10 | 2 |" in tables["console-tabs"]
