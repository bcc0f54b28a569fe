"""Kinfold alone: decoding, the projector with AWS answered from memory, and how it grows."""

import statistics
import time
from collections.abc import Callable, Sequence
from itertools import islice, pairwise
from typing import Any, Final

from bench.alone.prepared_run import SHARDS, prepared
from bench.contest.workloads import skewed
from betting.projections import PROJECTIONS
from ledger.store.change_record import decode, encode

_TABLE: Final = "domain-events-bench"
#: Of a run's points, by the share of the events that were applied: what comes before is warming up.
_WARM: Final = 0.1
#: So few shards that the most frequent account, an eighth of all events, is no more than a shard's share: with more of
#: them its shard would be drained last, alone, and the end would show the pace of one shard.
_EVEN: Final = 6


def decoding(records: int, rounds: int, report: Callable[[str], None]) -> dict[str, Any]:
    """Change records decoded a second of CPU time, one round after the other; the median counts."""
    data = [encode(each.event, _TABLE, "us-east-1") for each in islice(skewed(records, 6), records)]
    rates = []
    for _ in range(rounds):
        began = time.process_time()
        for each in data:
            decode(each, _TABLE)
        rates.append(records / (time.process_time() - began))
    report(f"decoding: {statistics.median(rates):,.0f} change records a second a core")
    return {"records": records, "rates": rates, "median": statistics.median(rates)}


def projecting(sizes: Sequence[int], runs: int, report: Callable[[str], None]) -> dict[str, Any]:
    """The real Faust app and transport on a stream of each size, with AWS answered from memory.

    On one core, and with the balance summaries alone; on the largest stream also with every read model that is shipped,
    and on all cores.
    """
    found = {}
    shipped: list[dict[str, Any]] = []
    free: list[dict[str, Any]] = []
    for size in sizes:
        with prepared("skewed", size) as pages:
            found[str(size)] = reports = [_slim(pages.run("--one-core")) for _ in range(runs)]
            if size == max(sizes):
                every = ("--projections", *(each.name for each in PROJECTIONS))
                shipped = [_slim(pages.run("--one-core", *every)) for _ in range(runs)]
                free = [_slim(pages.run()) for _ in range(runs)]
        rate = statistics.median(each["per_core"] for each in reports)
        report(f"from memory, {size:,} events: {rate:,.0f} events a second a core")
    names = [each.name for each in PROJECTIONS]
    return {"shards": SHARDS, "sizes": found, "shipped": shipped, "read_models": names, "free": free}


def _slim(run: dict[str, Any]) -> dict[str, Any]:
    """The figures of a run that are shown: CPU without what the answers from memory cost."""
    events, cpu = run["handled"], run["cpu_seconds"] - run["answers_cpu_seconds"]
    return {
        "seconds": run["seconds"],
        "per_second": events / run["seconds"],
        "per_core": events / cpu,
        "cpu_micros": cpu / events * 1e6,
        "answers_micros": run["answers_cpu_seconds"] / events * 1e6,
        "peak_mb": run["peak_mb"],
        "calls": sum(run["calls"].values()) / events,
        **steadiness(run["series"], events),
    }


def steadiness(series: Sequence[dict[str, float]], events: float) -> dict[str, Any]:
    """Rate, CPU and memory in the first tenth after warm-up and in the last; reads of summaries in the second half.

    Empty when the run was too short to tell.
    """
    warm = [point for point in series if point["applied"] >= events * _WARM]
    if len(warm) < 8:
        return {}
    begin, end, middle = warm[0], warm[-1], warm[len(warm) // 2]
    tenth = max(1, len(warm) // 10)
    first, last = _span(warm[0], warm[tenth]), _span(warm[-1 - tenth], warm[-1])
    half = end["applied"] - middle["applied"]
    return {
        "rate_first": first[0],
        "rate_last": last[0],
        "cpu_micros_first": first[1],
        "cpu_micros_last": last[1],
        "memory_first_mb": begin["resident_mb"],
        "memory_last_mb": end["resident_mb"],
        "steady_summary_reads": (end["summary_reads"] - middle["summary_reads"]) / half,
        "steady_summary_writes": (end["summary_writes"] - middle["summary_writes"]) / half,
    }


def _span(begin: dict[str, float], end: dict[str, float]) -> tuple[float, float]:
    """Events a second, and CPU microseconds an event, between two points."""
    events = end["applied"] - begin["applied"]
    seconds = end["seconds"] - begin["seconds"]
    return events / seconds, (end["cpu_seconds"] - begin["cpu_seconds"]) / events * 1e6


def backlog(events: int, report: Callable[[str], None]) -> dict[str, Any]:
    """One long run from trim horizon with AWS answered from memory: rate, CPU and memory over time, in tenths."""
    report(f"preparing {events:,} events")
    with prepared("skewed", events, shards=_EVEN) as pages:
        report("draining")
        run = pages.run()
    found = _slim(run) | {"events": events, "shards": _EVEN, "tenths": tenths(run["series"], events)}
    report(f"backlog of {events:,} events: {found['per_second']:,.0f} a second, {found['peak_mb']:.0f} MB at most")
    return found


def tenths(series: Sequence[dict[str, float]], events: float) -> list[dict[str, float]]:
    """Each tenth of the events: its rate, its CPU, and the memory at its end."""
    marks = [next((p for p in series if p["applied"] >= events * n / 10), series[-1]) for n in range(11)]
    found = []
    for begin, end in pairwise(marks):
        if end["applied"] > begin["applied"]:
            rate, cpu = _span(begin, end)
            found.append({"rate": rate, "cpu_micros": cpu, "resident_mb": end["resident_mb"]})
    return found
