"""A small contest, end to end: Kinfold's balances are the fold's on every workload, and whose are not."""

import sys
from dataclasses import replace
from typing import Any

import pytest

from bench.contest.contenders import KINFOLD, MARKED, PLAIN
from bench.contest.contest import Sizes, contest
from bench.contest.workloads import WORKLOADS
from bench.report.tables import render

pytestmark = pytest.mark.integration

EVENTS = 120


@pytest.fixture(scope="module")
def results() -> dict[str, Any]:
    if sys.platform != "linux":
        pytest.skip("memory and the emulator's CPU are read from /proc")
    sizes = Sizes(events=EVENTS, backlog=EVENTS, peer_records=10**6, runs=1, shards=2)
    *_, found = contest([KINFOLD, PLAIN, MARKED], list(WORKLOADS), sizes, print)
    return found


def only(results: dict[str, Any], workload: str, contender: str) -> dict[str, Any]:
    (run,) = results["workloads"][workload]["runs"][contender]
    assert isinstance(run, dict)
    return run


@pytest.mark.parametrize("workload", WORKLOADS)
def test_kinfold_is_right_and_so_is_the_marked_peer(results: dict[str, Any], workload: str) -> None:
    for contender in ("kinfold", "marked"):
        assert only(results, workload, contender)["wrong_balances"] == 0
    assert only(results, workload, "kinfold")["applied"] == EVENTS


def test_without_protection_repeated_records_make_wrong_balances(results: dict[str, Any]) -> None:
    assert results["workloads"]["shuffled"]["records"] > EVENTS
    assert only(results, "shuffled", "plain")["wrong_balances"] > 0
    for workload in WORKLOADS.keys() - {"shuffled"}:
        assert only(results, workload, "plain")["wrong_balances"] == 0


def test_the_costs_are_exact(results: dict[str, Any]) -> None:
    for workload in WORKLOADS.keys() - {"shuffled"}:
        plain, marked = (only(results, workload, name) for name in ("plain", "marked"))
        assert sum(plain["write_units"].values()) == EVENTS
        assert sum(marked["write_units"].values()) == 4 * EVENTS
        assert plain["calls"]["UpdateItem"] == marked["calls"]["TransactWriteItems"] == EVENTS
    rows = only(results, "uniform", "kinfold")["write_units"]
    assert next(units for table, units in rows.items() if table.startswith("balance-summary")) == EVENTS
    assert sum(only(results, "hot", "kinfold")["write_units"].values()) < 0.1 * EVENTS


def test_the_tables_are_rendered_from_it(results: dict[str, Any]) -> None:
    tables = render({"contest": results | {"machine": _MACHINE}})
    assert tables["costs"].count("| kinfold |") == len(WORKLOADS)
    assert "never slower than any peer" in tables["targets"]


def test_a_contender_that_fails_is_named_with_the_end_of_its_output() -> None:
    from bench.contest.bench_profile import bench_profile, emulator
    from bench.contest.contenders import ContenderFailedError, Task

    with emulator() as aws, bench_profile(aws.url) as profile:
        broken = replace(PLAIN, command=lambda _task, _report: ["-c", "raise SystemExit('out of luck')"])
        with pytest.raises(ContenderFailedError, match=r"plain ended with 1:\nout of luck"):
            broken.run(Task(profile, 1, 1))


_MACHINE = {
    "processor": "P",
    "cores": 2,
    "memory_gb": 8,
    "system": "Linux 6",
    "python": "3.11",
    "packages": {},
    "measured_on": "2026-11-25",
    "load_before": 1.0,
}
