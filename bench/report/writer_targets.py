"""What was to be reached by the writer: next to the peer, and on accounts of any length."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from bench.report.contest_tables import KINFOLD
from bench.report.markdown import figure, times
from bench.report.target import Target
from bench.report.writer_tables import PEER, middle, side_by_side

Results = Mapping[str, Any]

_LONGEST: Final = "1000000"
_SHORT: Final = "100"
_SNAPSHOT_BYTES: Final = 8 * 1024


def writer_targets(found: Results) -> Iterator[Target]:
    """Of the contest with the peer."""
    health = middle(found["health"][KINFOLD], "p50_millis")
    yield Target("`/health` on a kept connection: p50 under 3 ms", f"{figure(health)} ms", health < 3)
    cases = found["cases"]
    warm, cold, hot = cases["warm"], cases["cold"], cases["hot"]
    ours, theirs = (middle(warm["runs"][name], "p50_millis") for name in (KINFOLD, PEER))
    ratio = side_by_side(warm, "p50_millis")
    yield Target("a warm command's p50 below the peer's", f"{figure(ours)} ms against {figure(theirs)} ms", ratio < 1)
    for name, case, most in (("warm", warm, 0.4), ("cold", cold, 0.9)):
        cpu = side_by_side(case, "cpu_millis")
        yield Target(f"CPU of a {name} command: at most {most} of the peer's", figure(cpu), cpu <= most)
    calls, units = (middle(warm["runs"][KINFOLD], of) for of in ("calls", "read_units"))
    # A snapshot is written, and the table looked at, once in a while.
    measured = f"{figure(calls)} calls, {figure(units)} read units"
    yield Target("a warm command: 1 call and 0 read units", measured, calls <= 1.05 and units <= 0.05)
    fast = side_by_side(hot, "per_second")
    yield Target("one hot account: 10 times the peer's commands a second", times(fast), fast >= 10)
    written = middle(hot["runs"][KINFOLD], "write_units")
    yield Target("one hot account: at most 2.2 write units an event", figure(written), written <= 2.2)


def cost_targets(sizes: Results) -> Iterator[Target]:
    """Of an account of 1,000,000 events."""
    if _LONGEST not in sizes:
        return
    long = sizes[_LONGEST]
    calls, units = (long["load"][of] for of in ("calls", "read_units"))
    measured = f"{calls} calls, {figure(units)} read units"
    text = "an account of 1,000,000 events loads in 2 calls and at most 8 read units"
    yield Target(text, measured, calls <= 2 and units <= 8)
    size = long["snapshot_bytes"]
    yield Target("its snapshot has at most 8 KB", f"{size:,} bytes", size <= _SNAPSHOT_BYTES)
    if _SHORT in sizes:
        short, many = sizes[_SHORT]["commands"], long["commands"]
        more = max(many[name]["write_units"] - short[name]["write_units"] for name in short)
        text = "no command costs more write units than at 100 events"
        yield Target(text, f"{figure(more)} more", more <= 0)
        then, now = (sum(each["more_write_units"].values()) for each in (sizes[_SHORT], long))
        text = "nor do 100 more events with their snapshots and what these archive"
        yield Target(text, f"{figure(now)} against {figure(then)} write units", now <= then)
