"""The writer's tables and targets: medians, ratios of runs that stood side by side, what was not measured left out."""

from typing import Any

from bench.report.tables import render
from bench.report.targets import targets
from bench.report.writer_tables import shard_table, side_by_side

MACHINE = {"processor": "P", "cores": 2, "memory_gb": 8, "system": "L", "python": "3", "packages": {}}
MACHINE |= {"measured_on": "2026-11-25", "load_before": 1.0}


def run(per_second: float, **more: Any) -> dict[str, Any]:
    common = {"turned_away": {"409": 2}, "p50_millis": 5.0, "p99_millis": 9.0, "cpu_millis": 1.0}
    return common | {"calls": 1.0, "read_units": 0.0, "write_units": 2.0, "per_second": per_second, **more}


def contest(ours: dict[str, Any], theirs: dict[str, Any]) -> dict[str, Any]:
    case = {"text": "t", "runs": {"kinfold": [ours] * 3, "peer": [theirs] * 3}}
    health = {name: [{"p50_millis": 1.0, "p99_millis": 2.0}] for name in ("kinfold", "peer")}
    return {"machine": MACHINE, "cases": dict.fromkeys(("cold", "warm", "hot"), case), "health": health}


def costs(**of_long: Any) -> dict[str, Any]:
    def one(**changed: Any) -> dict[str, Any]:
        load = {"calls": 2, "read_units": 5.0, "millis": 3.0}
        commands = {"deposits": {"calls": 1, "read_units": 0.0, "write_units": 1.0}}
        whole, more = {"calls": 3, "read_units": 7.0, "millis": 9.0}, {"events": 100.0, "snapshots": 52.0}
        found = {"whole": whole, "load": load, "commands": commands}
        return found | {"snapshot_bytes": 300, "more_write_units": more} | changed

    return {"machine": MACHINE, "sizes": {"100": one(), "1000000": one(**of_long)}}


def test_a_ratio_is_that_of_runs_side_by_side() -> None:
    runs = {"kinfold": [run(10), run(100), run(30)], "peer": [run(1), run(5), run(10)]}
    assert side_by_side({"runs": runs}, "per_second") == 10


def test_the_writer_s_targets() -> None:
    good = {"writer": contest(run(100.0), run(10.0, p50_millis=6.0, cpu_millis=3.0))}
    assert len(targets(good)) == 7
    assert all(each.reached for each in targets(good))
    bad = {"writer": contest(run(90.0, calls=2.0, write_units=3.0), run(10.0, p50_millis=4.0))}
    missed = [each.text for each in targets(bad) if not each.reached]
    assert len(missed) == 6, missed


def test_the_targets_of_a_long_account() -> None:
    assert [each.reached for each in targets({"account-costs": costs()})] == [True, True, True, True]
    large = costs(snapshot_bytes=9_000, commands={"deposits": {"calls": 1, "read_units": 0.0, "write_units": 2.0}})
    assert [each.reached for each in targets({"account-costs": large})] == [True, False, False, True]
    more = costs(load={"calls": 3, "read_units": 9.0}, more_write_units={"events": 100.0, "snapshots": 53.0})
    assert [each.reached for each in targets({"account-costs": more})] == [False, True, True, False]
    assert targets({"account-costs": {"sizes": {"100": costs()["sizes"]["100"]}}}) == []


def test_the_tables() -> None:
    tables = render({"writer": contest(run(100.0), run(10.0)), "account-costs": costs()})
    assert "| hot | peer | 10 | 5 | 9 | 1 | 1 | 0 | 2 | 6 | 10.0 x |" in tables["writer"]
    assert "| 1,000,000 | deposits | 1 | 0 | 1 |" in tables["command-costs"]
    assert "| 1,000,000 | 3 | 7 | 2 | 5 | 300 | 100 | 52 |" in tables["account-costs"]
    assert "| kinfold | 1 | 2 |" in tables["health"]


def test_what_a_real_shard_carries() -> None:
    kinfold = {"handled": 10_000, "seconds": 1.0}
    workloads = {"hot": {"bytes": 800, "runs": {"kinfold": [kinfold]}}, "other": {"bytes": 1, "runs": {"plain": []}}}
    assert shard_table({"workloads": workloads}).splitlines()[2:] == ["| hot | 2,500 | 1,000 | 10,000 | 4 | 10 |"]
