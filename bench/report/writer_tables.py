"""The tables of the writer: beside the peer, and what an account costs while it grows."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any, Final

from bench.report.contest_tables import KINFOLD, median, per_second
from bench.report.markdown import figure, table, times

PEER: Final = "peer"
#: AWS, "Kinesis Data Streams quotas and limits": what a shard gives and takes a second.
SHARD_OUT: Final = 2_000_000
SHARD_IN: Final = 1_000_000
SHARD_RECORDS: Final = 1_000
_COLUMNS: Final = ("per_second", "p50_millis", "p99_millis", "cpu_millis", "calls", "read_units", "write_units")

Results = Mapping[str, Any]


def middle(runs: Sequence[Results], of: str) -> float:
    """The median of a figure over the runs."""
    return statistics.median(float(run[of]) for run in runs)


def side_by_side(case: Results, of: str) -> float:
    """Kinfold's figure over the peer's: the median of the ratios of the runs that stood side by side."""
    runs = case["runs"]
    return statistics.median(
        float(ours[of]) / float(theirs[of]) for ours, theirs in zip(runs[KINFOLD], runs[PEER], strict=True)
    )


def writer_table(found: Results) -> str:
    """Both contenders in every case."""
    rows = []
    for name, case in found["cases"].items():
        for contender, runs in case["runs"].items():
            turned_away = sum(sum(run["turned_away"].values()) for run in runs)
            faster = "" if contender == KINFOLD else times(side_by_side(case, "per_second"))
            rows.append([name, contender, *(figure(middle(runs, of)) for of in _COLUMNS), str(turned_away), faster])
    head = ["case", "contender", "commands/s", "p50 ms", "p99 ms", "CPU ms", "calls", "read units", "write units"]
    load = found["machine"]["load_before"]
    return (
        table([*head, "turned away", "Kinfold faster"], rows, texts=2)
        + f"\n\nThe load average before was {load}: times depend on it, calls and units of cold and warm do not."
    )


def health_table(found: Results) -> str:
    """`/health` on a kept connection."""
    rows = [
        [contender, *(figure(middle(runs, of)) for of in ("p50_millis", "p99_millis"))]
        for contender, runs in found["health"].items()
    ]
    return table(["`/health`", "p50 ms", "p99 ms"], rows)


def costs_table(found: Results) -> str:
    """What an account costs at each size."""
    rows = []
    for size, each in sorted(found["sizes"].items(), key=lambda one: int(one[0])):
        loads = [each[how][of] for how in ("whole", "load") for of in ("calls", "read_units")]
        written = each["more_write_units"]
        cells = map(figure, (*loads, each["snapshot_bytes"], written["events"], written["snapshots"]))
        rows.append([f"{int(size):,}", *cells])
    head = ["events", "load without a snapshot: calls", "read units", "load with it: calls", "read units"]
    return table([*head, "snapshot bytes", "100 more events: write units", "their snapshots and archive"], rows)


def commands_table(found: Results) -> str:
    """What each command costs on an account of each size."""
    rows = []
    for size, each in sorted(found["sizes"].items(), key=lambda one: int(one[0])):
        for name, cost in each["commands"].items():
            rows.append([f"{int(size):,}", name, *(figure(cost[of]) for of in ("calls", "read_units", "write_units"))])
    return table(["events", "command", "calls", "read units", "write units"], rows, texts=2)


def shard_table(contest: Results) -> str:
    """What one real shard gives and takes of each workload, and how many shards Kinfold's rate is."""
    rows = []
    for name, each in contest["workloads"].items():
        if KINFOLD not in each["runs"]:
            continue
        gives, takes = SHARD_OUT / each["bytes"], min(SHARD_RECORDS, SHARD_IN / each["bytes"])
        rate = median(each["runs"][KINFOLD], per_second)
        rows.append([name, *map(figure, (gives, takes, rate, rate / gives, rate / takes))])
    head = ["workload", "a shard gives, records/s", "it takes, records/s", "kinfold, events/s", "shards read at 2 MB/s"]
    return table([*head, "shards written to the full"], rows)
