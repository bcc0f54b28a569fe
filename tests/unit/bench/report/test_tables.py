"""The tables: medians and ratios of the runs, and a page that shows nothing but them."""

from typing import Any

import pytest

from bench.report.contest_tables import cpu_micros, per_second, ratio
from bench.report.markdown import figure, table
from bench.report.results import PUBLISHED, load
from bench.report.tables import PAGE, fill, render
from bench.report.targets import targets


def run(handled: int, seconds: float, cpu: float = 1.0, units: float = 100.0) -> dict[str, Any]:
    return {
        "handled": handled,
        "seconds": seconds,
        "cpu_seconds": cpu,
        "calls": {"GetRecords": 2, "UpdateItem": handled},
        "write_units": {"rows": units},
        "read_units": {},
        "peak_mb": 80.0,
        "emulator_cpu_seconds": 0.5,
    }


RUNS = {
    "kinfold": [run(1000, 1.0), run(1000, 2.0), run(1000, 0.5)],
    "plain": [run(100, 1.0), run(100, 1.0), run(100, 1.0)],
}
MACHINE = {
    "processor": "P",
    "cores": 2,
    "memory_gb": 8,
    "system": "Linux 6",
    "python": "3.11",
    "packages": {"boto3": "1"},
    "measured_on": "2026-11-25",
    "load_before": 1.0,
}
WORKLOAD = {"text": "t", "events": 1000, "records": 1000, "bytes": 800, "runs": RUNS}
RESULTS: dict[str, Any] = {"contest": {"machine": MACHINE, "workloads": {"skewed": WORKLOAD}}}


def test_a_ratio_is_the_median_of_the_runs_side_by_side() -> None:
    assert ratio(RUNS, "plain", per_second, more_is_better=True) == 10.0
    assert ratio(RUNS, "plain", cpu_micros, more_is_better=False) == 10.0


def test_a_target_is_reached_or_not() -> None:
    found = {each.text: each.reached for each in targets(RESULTS)}
    assert found["skewed: 10 times plain in events a second"]
    assert found["skewed: write units an event under 0.15"]
    slow = {"kinfold": [run(1000, 10.5, units=200)], "plain": [run(100, 1.0)]}
    results: Any = {"contest": {"workloads": {"skewed": {"runs": slow}}}}
    assert not any(each.reached for each in targets(results))


def test_demos_are_compared_pair_by_pair() -> None:
    def runs(*rates: float) -> list[dict[str, float]]:
        return [{"per_second": rate, "seconds": 1000 / rate, "cpu_seconds": 20.0} for rate in rates]

    demo = {"events": 1000, "before": "47fd5a28691", "runs": {"now": runs(120, 200, 90), "before": runs(30, 50, 20)}}
    results: Any = {"demo": {"machine": MACHINE, **demo}}
    assert "Side by side: 4.0 x (4.0 x to 4.5 x in 3 pairs of runs)." in render(results)["demo"]
    (target,) = targets(results)
    assert (target.measured, target.reached) == ("4.0 x", True)
    demo["runs"] = {"now": runs(119), "before": runs(30)}
    assert not targets({"demo": demo})[0].reached


def test_a_contest_without_kinfold_has_no_ratios_and_no_targets() -> None:
    alone: Any = {
        "contest": {**RESULTS["contest"], "workloads": {"skewed": {**WORKLOAD, "runs": {"plain": RUNS["plain"]}}}}
    }
    assert "| skewed | plain | 100 | 100 to 100 |  |" in render(alone)["speed"]
    assert targets(alone) == []


def test_the_marked_blocks_of_a_page_are_replaced_and_nothing_else() -> None:
    tables = render(RESULTS)
    assert "| skewed | plain | 100 |" in tables["speed"]
    page = "before\n<!-- bench:speed -->\nold\n<!-- bench:end -->\nafter\n<!-- bench:delay -->\n<!-- bench:end -->\n"
    filled = fill(page, tables)
    assert filled == (
        f"before\n<!-- bench:speed -->\n{tables['speed']}\n<!-- bench:end -->\nafter\n"
        "<!-- bench:delay -->\n(not measured)\n<!-- bench:end -->\n"
    )
    assert fill(filled, tables) == filled


@pytest.mark.parametrize(
    ("value", "text"),
    [(12_345, "12,300"), (123.4, "123"), (12.34, "12.3"), (1.234, "1.23"), (0.1234, "0.123"), (0, "0"), (0.02, "0.02")],
)
def test_figures_have_three_digits_that_count(value: float, text: str) -> None:
    assert figure(value) == text


def test_a_table() -> None:
    assert table(["a", "b"], [["x", "1"]]) == "| a | b |\n| --- | ---: |\n| x | 1 |"


def test_the_page_shows_the_published_results_and_no_others() -> None:
    page = PAGE.read_text()
    assert page == fill(page, render(load(PUBLISHED)))
    assert "(not measured)" not in page
