"""The tables of docs/benchmarks.md, made from a result file. No figure is typed by hand."""

import re
from collections.abc import Mapping
from statistics import median
from typing import Any, Final

from bench.report.console_tables import screens_table, tabs_table
from bench.report.contest_tables import contest_tables, speed
from bench.report.markdown import figure, table, times
from bench.report.results import ROOT
from bench.report.targets import demo_ratios, targets_table
from bench.report.writer_tables import commands_table, costs_table, health_table, shard_table, writer_table

PAGE: Final = ROOT / "docs" / "benchmarks.md"
_BLOCK: Final = re.compile(r"(<!-- bench:(?!end)([\w-]+) -->\n).*?(<!-- bench:end -->)", re.DOTALL)

Results = Mapping[str, Any]


def render(results: Results) -> dict[str, str]:
    """Every table that the results are enough for, as Markdown, by name."""
    tables = {"machine": _machine(results), "targets": targets_table(results)}
    if "contest" in results:
        tables |= contest_tables(results["contest"]) | {"shard": shard_table(results["contest"])}
    if "kcl" in results:
        tables["kcl"] = speed(results["kcl"])
    if "writer" in results:
        tables |= {"writer": writer_table(results["writer"]), "health": health_table(results["writer"])}
    if "account-costs" in results:
        costs = results["account-costs"]
        tables |= {"account-costs": costs_table(costs), "command-costs": commands_table(costs)}
    if "console" in results:
        console = results["console"]
        tables |= {"console": screens_table(console), "console-tabs": tabs_table(console)}
    for name, make in _ALONE.items():
        if name in results:
            tables[name] = make(results[name])
    return tables


def fill(page: str, tables: Mapping[str, str]) -> str:
    """The page with each marked block replaced by its table; one that no table is there for says so."""

    def block(found: re.Match[str]) -> str:
        return f"{found[1]}{tables.get(found[2], '(not measured)')}\n{found[3]}"

    return _BLOCK.sub(block, page)


def _machine(results: Results) -> str:
    machines = [section["machine"] for section in results.values()]
    if not machines:
        return "(not measured)"
    one = machines[0]
    packages = ", ".join(f"{name} {version}" for name, version in sorted(one["packages"].items()) if version)
    days = sorted({each["measured_on"] for each in machines})
    loads = sorted(each["load_before"] for each in machines)
    return (
        f"{one['processor']}, {one['cores']} cores, {one['memory_gb']} GB, {one['system']}, Python {one['python']}; "
        f"{packages}. Measured on {' and '.join(days)}; the machine's load average before each part was "
        f"{loads[0]} to {loads[-1]}."
    )


def _decoding(decoding: Results) -> str:
    rates = decoding["rates"]
    spread = f"{figure(min(rates))} to {figure(max(rates))}"
    return f"{figure(decoding['median'])} change records a second a core ({spread} in {len(rates)} rounds)."


def _projecting(projecting: Results) -> str:
    lines = {f"{int(size):,}": projecting["sizes"][size] for size in sorted(projecting["sizes"], key=int)}
    if projecting.get("shipped"):
        lines[f"the same, into {' and '.join(projecting['read_models'])}"] = projecting["shipped"]
    if projecting.get("free"):
        lines[f"{max(map(int, projecting['sizes'])):,}, on all cores"] = projecting["free"]
    columns = ("per_second", "per_core", "cpu_micros", "answers_micros", "calls", "peak_mb")
    rows = [[name, *(figure(median(run[of] for run in runs)) for of in columns)] for name, runs in lines.items()]
    head = ["events", "events/s", "events/s a core", "CPU µs/event", "(answers µs)", "calls/event", "peak MB"]
    return table(head, rows)


def _appends(appends: Results) -> str:
    texts = {
        "after_a_load": "after a load: a conditional PutItem",
        "transaction": "the same put as a transaction",
        "claimed": "at a version that a client claims: a transaction with its proof",
    }
    rows = [
        [text, *(figure(appends[name][of]) for of in ("calls", "write_units", "read_units", "median_millis"))]
        for name, text in texts.items()
    ]
    return table(["append of one event", "calls", "write units", "read units", "median ms"], rows)


def _loads(loads: Results) -> str:
    rows = []
    for size, each in sorted(loads["sizes"].items(), key=lambda one: int(one[0])):
        cells = [figure(each[how][of]) for how in ("without", "with") for of in ("calls", "read_units", "millis")]
        rows.append([f"{int(size):,}", *cells])
    head = ["events", "calls", "read units", "ms", "with a snapshot: calls", "read units", "ms"]
    return table(head, rows)


def _rebuild(rebuild: Results) -> str:
    rows = [
        [f"{int(size):,}", figure(each["seconds"]), figure(int(size) / each["seconds"])]
        for size, each in sorted(rebuild["sizes"].items(), key=lambda one: int(one[0]))
    ]
    return table(["events", "seconds", "events/s"], rows)


def _readings(readings: Results) -> str:
    columns = ("per_core", "cpu_micros", "reads")
    models = " and ".join(readings["read_models"])
    lines = {f"{name} of {models}": readings[name] for name in ("rebuild", "verify")}
    lines |= {f"{name}, on all cores": runs for name, runs in readings.get("free", {}).items()}
    rows = [[name, *(figure(median(run[of] for run in runs)) for of in columns)] for name, runs in lines.items()]
    of_each = table([f"{readings['events']:,} events", "events/s a core", "CPU µs/event", "reads of each event"], rows)
    rates = [[count, figure(median(each))] for count, each in readings["processes"].items()]
    return f"{of_each}\n\n{table(['processes that build both', 'events/s by the clock'], rates)}"


def _backlog(backlog: Results) -> str:
    rows = [
        [f"{number}.", figure(each["rate"]), figure(each["cpu_micros"]), figure(each["resident_mb"])]
        for number, each in enumerate(backlog["tenths"], 1)
    ]
    return table([f"tenth of {backlog['events']:,}", "events/s", "CPU µs/event", "MB at its end"], rows)


def _delay(delay: Results) -> str:
    rows = [
        [text, *(figure(delay[name][share]) for share in ("p50", "p99"))]
        for name, text in (
            ("from_answer_millis", "from the append's answer"),
            ("from_sending_millis", "from sending the append"),
        )
    ]
    return table([f"{delay['appends']} appends, {delay['shards']} shards", "p50 ms", "p99 ms"], rows)


def _demo(demo: Results) -> str:
    now, before = demo["runs"]["now"], demo["runs"]["before"]
    columns = ("per_second", "seconds", "cpu_seconds")
    lines = {"this tree": now, f"revision {demo['before'][:7]}": before}
    rows = [[name, *(figure(median(run[of] for run in runs)) for of in columns)] for name, runs in lines.items()]
    ratios = sorted(demo_ratios(demo))
    spread = f"{times(ratios[0])} to {times(ratios[-1])} in {len(ratios)} pairs of runs"
    head = [f"`kinfold demo`, {demo['events']:,} events", "events/s", "seconds", "CPU s of all processes"]
    return f"{table(head, rows)}\n\nSide by side: {times(median(ratios))} ({spread})."


def _profile(profile: Results) -> str:
    rows = [
        [f"`{each['function']}`", figure(each["own_micros"]), figure(each["total_micros"])]
        for each in profile["functions"][:15]
    ]
    return table(["function", "own µs/event", "with what it calls"], rows)


_ALONE: Final = {
    "decoding": _decoding,
    "projecting": _projecting,
    "appends": _appends,
    "loads": _loads,
    "rebuild": _rebuild,
    "readings": _readings,
    "backlog": _backlog,
    "delay": _delay,
    "demo": _demo,
    "profile": _profile,
}
