"""The tables and targets of the console: its screens, and tabs that stay open."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from bench.report.markdown import figure, table
from bench.report.target import Target

#: Milliseconds of server time; share of a core and calls a second, for each open tab.
_SCREEN: Final = 300
_CORE: Final = 0.01
_CALLS: Final = 2

Results = Mapping[str, Any]


def screens_table(found: Results) -> str:
    """Each screen, cold and warm."""
    rows = []
    for name, each in found["screens"].items():
        whole = each["whole_after_seconds"]
        times = [each[of] for of in ("cold_millis", "reading_max_millis", "p50_millis", "max_millis", "cpu_millis")]
        cells = [figure(value) if value else "-" for value in times]
        rows.append([name, *cells, figure(each["calls"]), figure(each["kilobytes"]), figure(whole) if whole else "-"])
    head = ["screen", "cold ms", "history being read, max ms", "warm p50 ms", "max ms", "CPU ms", "calls", "KB"]
    return table([*head, "history read after s"], rows)


def tabs_table(found: Results) -> str:
    """What the console costs while nothing happens."""
    rows = []
    for each in found["tabs"]:
        tabs = max(each["tabs"], 1)
        core, calls = each["core"] * 100, each["calls_per_second"]
        rows.append([each["page"], str(each["tabs"]), *map(figure, (core, core / tabs, calls, calls / tabs))])
    head = ["page", "tabs", "% of a core", "a tab", "calls to AWS a second", "a tab"]
    return table(head, rows)


def console_targets(found: Results) -> Iterator[Target]:
    """Of every screen, and of every open tab."""
    slowest = {
        name: max(each["cold_millis"], each["reading_max_millis"], each["max_millis"])
        for name, each in found["screens"].items()
    }
    name = max(slowest, key=lambda each: slowest[each])
    text = f"each screen of the console with {found['events']:,} events: within {_SCREEN} ms, cold and warm"
    yield Target(text, f"slowest: {figure(slowest[name])} ms ({name})", slowest[name] <= _SCREEN)
    tabs = [each for each in found["tabs"] if each["tabs"]]
    core = max(each["core"] / each["tabs"] for each in tabs)
    yield Target("an idle tab of it: under 1 % of a core", f"most: {core:.2%}", core < _CORE)
    calls = max(each["calls_per_second"] / each["tabs"] for each in tabs)
    text = f"an idle tab of it: under {_CALLS} calls to AWS a second"
    yield Target(text, f"most: {figure(calls)}", calls < _CALLS)
