"""What was to be reached, against what was measured."""

from collections.abc import Callable, Iterator, Mapping
from statistics import median as middle
from typing import Any

from bench.report.console_tables import console_targets
from bench.report.contest_tables import KINFOLD, cpu_micros, median, per_second, ratio, write_units
from bench.report.markdown import figure, table, times
from bench.report.target import Target
from bench.report.writer_targets import cost_targets, writer_targets

Results = Mapping[str, Any]


def targets(results: Results) -> list[Target]:
    """Every target that the results can decide."""
    found: list[Target] = []
    if "contest" in results:
        found += _contest(results["contest"]["workloads"])
    if "projecting" in results:
        steady = [run["steady_summary_reads"] for run in _longest(results) if "steady_summary_reads" in run]
        if steady:
            found.append(_at_most("read units of summaries an event, steady state", 0, max(steady)))
    if "decoding" in results:
        found.append(_at_least("change records decoded a second a core", 350_000, results["decoding"]["median"]))
    if "projecting" in results:
        rate = middle(run["per_core"] for run in _longest(results))
        found.append(_at_least("events a second a core through the Faust app, AWS from memory", 65_000, rate))
    if "appends" in results:
        found.append(_appends(results["appends"]))
    if "loads" in results:
        found += _loads(results["loads"]["sizes"])
    if "readings" in results:
        found += _readings(results["readings"])
    if "backlog" in results:
        found += _backlog(results["backlog"])
    if "writer" in results:
        found += writer_targets(results["writer"])
    if "account-costs" in results:
        found += cost_targets(results["account-costs"]["sizes"])
    if "console" in results:
        found += console_targets(results["console"])
    if "delay" in results:
        limit = results["delay"]["poll_interval"] * 1000 + 100
        measured = results["delay"]["from_answer_millis"]["p50"]
        text = f"delay from append to visible, p50 under {limit:.0f} ms"
        found.append(Target(text, f"{figure(measured)} ms", measured < limit))
    if "demo" in results:
        faster = middle(demo_ratios(results["demo"]))
        text = f"`kinfold demo`: 4 times the events a second of revision {results['demo']['before'][:7]}"
        found.append(Target(text, times(faster), faster >= 4))
    return found


def demo_ratios(demo: Mapping[str, Any]) -> list[float]:
    """The rate of each demo over that of the earlier revision's next to it."""
    pairs = zip(demo["runs"]["now"], demo["runs"]["before"], strict=True)
    return [now["per_second"] / before["per_second"] for now, before in pairs]


def targets_table(results: Results) -> str:
    """The targets as Markdown."""
    rows = [[each.text, each.measured, "yes" if each.reached else "**no**"] for each in targets(results)]
    return table(["target", "measured", "reached"], rows)


def _contest(workloads: Mapping[str, Any]) -> Iterator[Target]:
    workloads = {name: workload for name, workload in workloads.items() if KINFOLD in workload["runs"]}
    wanted = {"skewed": (10, 12), "hot": (10, 12), "uniform": (3, 4)}
    for name, factors in wanted.items():
        if name in workloads:
            for peer, factor in zip(("plain", "marked"), factors, strict=True):
                if peer in workloads[name]["runs"]:
                    yield _times(f"{name}: {factor} times {peer} in events a second", factor, workloads[name], peer)
    slowest: dict[str, float] = {}
    for name, workload in workloads.items():
        for peer in workload["runs"].keys() - {KINFOLD}:
            slowest[f"{peer} on {name}"] = ratio(workload["runs"], peer, per_second, more_is_better=True)
    if slowest:
        where = min(slowest, key=lambda each: slowest[each])
        text = "never slower than any peer on any workload"
        yield Target(text, f"least: {times(slowest[where])} ({where})", slowest[where] >= 1)
    limits: dict[str, Callable[[float], bool]] = {
        "skewed: write units an event under 0.15": lambda units: units < 0.15,
        "hot: write units an event under 0.02": lambda units: units < 0.02,
        "uniform: write units an event 1": lambda units: round(units, 2) == 1,
    }
    for text, holds in limits.items():
        name = text.partition(":")[0]
        if name in workloads:
            units = median(workloads[name]["runs"][KINFOLD], write_units)
            yield Target(text, figure(units), holds(units))


def _times(text: str, factor: float, workload: Mapping[str, Any], peer: str) -> Target:
    fast = ratio(workload["runs"], peer, per_second, more_is_better=True)
    cheap = ratio(workload["runs"], peer, cpu_micros, more_is_better=False)
    return Target(text, f"{times(fast)} (CPU an event: {times(cheap)})", fast >= factor)


def _appends(appends: Mapping[str, Any]) -> Target:
    ours, theirs = (appends[name]["write_units"] for name in ("after_a_load", "transaction"))
    measured = f"{figure(ours)} against {figure(theirs)}"
    return Target("an append after a load: half the write units of a transaction", measured, ours * 2 <= theirs)


def _loads(sizes: Mapping[str, Any]) -> Iterator[Target]:
    if "100" in sizes and "100000" in sizes:
        small, large = (sizes[size]["with"] for size in ("100", "100000"))
        same = (small["calls"], small["read_units"]) == (large["calls"], large["read_units"])
        measured = f"{large['calls']} calls, {figure(large['read_units'])} read units; of 100: "
        measured += f"{small['calls']}, {figure(small['read_units'])}"
        yield Target("a load of 100,000 events with a snapshot costs what one of 100 does", measured, same)


def _readings(readings: Mapping[str, Any]) -> Iterator[Target]:
    models = len(readings["read_models"])
    for name, text in (("rebuild", f"rebuild of {models} read models, verified"), ("verify", f"verify of {models}")):
        reads = max(run["reads"] for run in readings[name])
        yield Target(f"{text}: each event read at most 1.05 times", figure(reads), reads <= 1.05)
        rate = middle(run["per_core"] for run in readings[name])
        yield _at_least(f"{text}: events a second a core, AWS from memory", 40_000, rate)
    side_by_side = zip(*(readings["processes"][count] for count in ("1", "2")), strict=True)
    faster = middle(two / one for one, two in side_by_side)
    yield Target("a rebuild by two processes: 1.7 times the rate of one", times(faster), faster >= 1.7)


def _backlog(backlog: Mapping[str, Any]) -> Iterator[Target]:
    # In the last tenth the shards run dry one by one, and what is left gives no more than its reads a second allow.
    first, late, last = (backlog["tenths"][at] for at in (1, -2, -1))
    change = late["rate"] / first["rate"] - 1
    cpu = late["cpu_micros"] / first["cpu_micros"] - 1
    text = f"backlog of {backlog['events']:,} events: rate in the ninth tenth within 10 % of that in the second"
    yield Target(text, f"{change:+.0%} (CPU an event {cpu:+.0%})", abs(change) <= 0.1)
    grown = last["resident_mb"] - first["resident_mb"]
    text = "the same: memory flat (within 10 %)"
    measured = f"{figure(first['resident_mb'])} MB after two tenths, {figure(last['resident_mb'])} MB at the end"
    yield Target(text, measured, grown <= first["resident_mb"] * 0.1)


def _longest(results: Results) -> list[dict[str, Any]]:
    sizes = results["projecting"]["sizes"]
    runs: list[dict[str, Any]] = sizes[max(sizes, key=int)]
    return runs


def _at_least(text: str, wanted: float, measured: float) -> Target:
    return Target(f"{text}: {wanted:,}", figure(measured), measured >= wanted)


def _at_most(text: str, wanted: float, measured: float) -> Target:
    return Target(f"{text}: {wanted:,}", figure(measured), measured <= wanted)
