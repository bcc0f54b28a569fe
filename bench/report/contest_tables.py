"""The contest's figures: medians over the runs, and ratios run by run."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from bench.report.markdown import figure, table, times

KINFOLD: Final = "kinfold"
Run = Mapping[str, Any]


def per_second(run: Run) -> float:
    """Records handled a second, from the first record to the last effect."""
    return float(run["handled"] / run["seconds"])


def cpu_micros(run: Run) -> float:
    """CPU time of the contender's own process for a record."""
    return float(run["cpu_seconds"] / run["handled"] * 1e6)


def calls(run: Run) -> float:
    """AWS calls for a record."""
    return float(sum(run["calls"].values()) / run["handled"])


def write_units(run: Run) -> float:
    """Write units for a record, those of leases and markers included."""
    return float(sum(run["write_units"].values()) / run["handled"])


def read_units(run: Run) -> float:
    """Read units for a record, those of leases and control rows included."""
    return float(sum(run["read_units"].values()) / run["handled"])


def emulator_micros(run: Run) -> float:
    """CPU time that the embedded AWS took for a record, with what it took for making the tables."""
    return float(run["emulator_cpu_seconds"] / run["handled"] * 1e6)


def median(runs: Sequence[Run], of: Callable[[Run], float]) -> float:
    """The median over the runs."""
    return statistics.median(map(of, runs))


def ratio(runs: Mapping[str, Sequence[Run]], peer: str, of: Callable[[Run], float], *, more_is_better: bool) -> float:
    """How many times better Kinfold is than the peer: the median of the ratios of the runs that stood side by side."""
    pairs = [(of(ours), of(theirs)) for ours, theirs in zip(runs[KINFOLD], runs[peer], strict=True)]
    return statistics.median(ours / theirs if more_is_better else theirs / ours for ours, theirs in pairs)


def contest_tables(contest: Mapping[str, Any]) -> dict[str, str]:
    """The contest's tables by name."""
    return {"workloads": _workloads(contest), "speed": speed(contest), "costs": _costs(contest)}


def _workloads(contest: Mapping[str, Any]) -> str:
    rows = [
        [name, each["text"], f"{each['events']:,}", f"{each['records']:,}", f"{each['bytes']:,}"]
        for name, each in contest["workloads"].items()
    ]
    return table(["workload", "", "events", "records", "bytes each"], rows, texts=2)


def speed(contest: Mapping[str, Any]) -> str:
    """Rates, CPU and memory of every contender, and Kinfold's ratio to each."""
    rows = []
    for name, each in contest["workloads"].items():
        runs = each["runs"]
        for contender in runs:
            ours = contender == KINFOLD or KINFOLD not in runs
            fast = "" if ours else times(ratio(runs, contender, per_second, more_is_better=True))
            cheap = "" if ours else times(ratio(runs, contender, cpu_micros, more_is_better=False))
            rates = [per_second(run) for run in runs[contender]]
            spread = f"{figure(min(rates))} to {figure(max(rates))}"
            rate, cpu = figure(statistics.median(rates)), figure(median(runs[contender], cpu_micros))
            peak = figure(median(runs[contender], lambda run: float(run["peak_mb"])))
            rows.append([name, contender, rate, spread, fast, cpu, cheap, peak])
    head = [
        "workload",
        "contender",
        "events/s",
        "lowest to highest",
        "Kinfold faster",
        "CPU µs/event",
        "Kinfold cheaper",
        "MB",
    ]
    return table(head, rows, texts=2)


def _costs(contest: Mapping[str, Any]) -> str:
    rows = []
    for name, each in contest["workloads"].items():
        for contender, runs in each["runs"].items():
            figures = [figure(median(runs, of)) for of in (calls, write_units, read_units, emulator_micros)]
            rows.append([name, contender, *figures, _wrong(runs)])
    units = ["write units/event", "read units/event"]
    head = ["workload", "contender", "calls/event", *units, "emulator CPU µs/event", "wrong balances"]
    return table(head, rows, texts=2)


def _wrong(runs: Sequence[Run]) -> str:
    if any("wrong_balances" not in run for run in runs):
        return "-"
    return str(max(run["wrong_balances"] for run in runs))
