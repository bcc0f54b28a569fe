"""What a contender uses, counted in its own process by the SDK's hooks: calls, capacity units, CPU, memory.

Nothing of Kinfold is imported here: peers run in environments of their own.
"""

import json
import os
import resource
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec

from simulation.aws.tables.values import query_units

#: DynamoDB's operations whose capacity units are read units; those of all others are write units.
_READS: Final = frozenset({"GetItem", "BatchGetItem", "Query", "Scan", "TransactGetItems"})


def cpu_seconds() -> float:
    """User and system time of this process, over all its threads."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


class Meter:
    """Counts from the first GetRecords answer that has records to the last effect. Safe to share between threads.

    An effect is any answered write of DynamoDB to one of ``tables`` (empty: to any), or what ``effect`` is called for.
    """

    def __init__(self, *tables: str) -> None:
        self._tables = tables
        self._lock = threading.Lock()
        self._asked = threading.local()
        self._first: tuple[float, float] | None = None
        self._last: tuple[float, float] | None = None
        self.records = 0
        self.calls: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self.read_units: Counter[str] = Counter()
        self.write_units: Counter[str] = Counter()

    def watch(self, client: Any) -> None:
        """Count the calls of a client of boto3 or aiobotocore."""
        for event, hook in self._hooks(client):
            client.meta.events.register(event, hook)

    def unwatch(self, client: Any) -> None:
        """Stop counting the calls of a client."""
        for event, hook in self._hooks(client):
            client.meta.events.unregister(event, hook)

    def _hooks(self, client: Any) -> list[tuple[str, Callable[..., None]]]:
        service = client.meta.service_model.service_name
        return [(f"provide-client-params.{service}", self._ask), (f"after-call.{service}", self._count)]

    def begin(self, sample: tuple[float, float] | None = None) -> None:
        """Start the measurement with the first records and discard earlier counts. Later calls do nothing."""
        with self._lock:
            if self._first is None:
                self._first = sample or _sample()
                for counter in (self.calls, self.refused, self.read_units, self.write_units):
                    counter.clear()

    def effect(self) -> None:
        """Something became durable just now."""
        self._last = _sample()

    def units_of(self, units: Counter[str]) -> float:
        """The units of the meter's own tables, of all that it counts."""
        return sum(units[table] for table in self._tables)

    def report(self) -> dict[str, Any]:
        """The figures. Raises RuntimeError when no record was read or nothing became durable."""
        if self._first is None or self._last is None:
            raise RuntimeError("nothing was measured: no record was read, or no effect became durable")
        with self._lock:
            return {
                "began_at": self._first[0],
                "ended_at": self._last[0],
                "seconds": self._last[0] - self._first[0],
                "cpu_seconds": self._last[1] - self._first[1],
                "records": self.records,
                "calls": dict(self.calls),
                "refused": dict(self.refused),
                "read_units": dict(self.read_units),
                "write_units": dict(self.write_units),
                "peak_mb": peak_mb(),
            }

    def write_report(self, path: Path, **more: Any) -> None:
        """Write the figures as JSON, at once or not at all."""
        draft = path.with_suffix(".draft")
        draft.write_text(json.dumps({**self.report(), **more}))
        draft.rename(path)

    def _ask(self, params: dict[str, Any], model: Any, **_: Any) -> None:
        if "ReturnConsumedCapacity" in model.input_shape.members:
            params["ReturnConsumedCapacity"] = "TOTAL"
        if model.name == "BatchGetItem":
            self._asked.least = {
                table: len(asked["Keys"]) * (1.0 if asked.get("ConsistentRead") else 0.5)
                for table, asked in params["RequestItems"].items()
            }
        elif model.name in {"Query", "Scan"}:
            self._asked.consistent = params.get("ConsistentRead", False)
            self._asked.table = params["TableName"]
        elif model.name == "GetRecords" and self._first is None:
            self._asked.sample = _sample()

    def _count(self, http_response: Any, parsed: dict[str, Any], model: Any, **_: Any) -> None:
        name = model.name
        if name == "GetRecords" and parsed.get("Records"):
            if self._first is None:
                self.begin(getattr(self._asked, "sample", None))
            with self._lock:
                self.records += len(parsed["Records"])
        consumed = parsed.get("ConsumedCapacity") or []
        tables = consumed if isinstance(consumed, list) else [consumed]
        with self._lock:
            self.calls[name] += 1
            if http_response.status_code >= 400:
                self.refused[str(parsed.get("Error", {}).get("Code"))] += 1
            units = self.read_units if name in _READS else self.write_units
            consumption = {table["TableName"]: table["CapacityUnits"] for table in tables}
            if name == "BatchGetItem":
                # AWS charges for a key without an item as for a small one; the embedded AWS does not.
                consumption |= {
                    table: max(consumption.get(table, 0.0), least) for table, least in self._asked.least.items()
                }
            elif name in {"Query", "Scan"} and "Items" in parsed:
                # AWS charges for what was read; the embedded AWS charges one unit a page.
                least = query_units(msgspec.to_builtins(parsed["Items"]), consistent=self._asked.consistent)
                consumption[self._asked.table] = max(consumption.get(self._asked.table, 0.0), least)
            for table, consumed_units in consumption.items():
                units[table] += consumed_units
        if name not in _READS and tables and (not self._tables or any(t["TableName"] in self._tables for t in tables)):
            self.effect()


def _sample() -> tuple[float, float]:
    return time.perf_counter(), cpu_seconds()


def peak_mb(pid: int | None = None) -> float:
    """The peak resident memory of a process (default: this one), in MB; 0 when it is gone. Linux only."""
    return _memory_mb(pid, "VmHWM")


def resident_mb(pid: int | None = None) -> float:
    """The resident memory of a process (default: this one), in MB; 0 when it is gone. Linux only."""
    return _memory_mb(pid, "VmRSS")


def _memory_mb(pid: int | None, field: str) -> float:
    try:
        status = Path(f"/proc/{pid or os.getpid()}/status").read_text()
    except OSError:
        return 0.0
    return max((int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith(field)), default=0.0)


def cpu_of(pid: int) -> float:
    """CPU seconds of another process so far; 0 when it is gone. Linux only."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class TreeWatch:
    """CPU and memory of a process and all its descendants over time, for contenders that are more than one process."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._points: list[tuple[float, float]] = []
        self.peak_mb = 0.0

    def look(self) -> None:
        """Take a point."""
        tree = _tree(self._pid)
        self._points.append((time.perf_counter(), sum(map(cpu_of, tree))))
        self.peak_mb = max(self.peak_mb, sum(map(resident_mb, tree)))

    def cpu_between(self, began_at: float, ended_at: float) -> float:
        """CPU seconds between two moments of ``time.perf_counter``, as near as the points are."""
        before = max((point for point in self._points if point[0] <= began_at), default=self._points[0])
        after = min((point for point in self._points if point[0] >= ended_at), default=self._points[-1])
        return after[1] - before[1]


def _tree(root: int) -> list[int]:
    children: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = path.read_text()
        except OSError:
            continue  # it has just ended
        children.setdefault(int(text.rpartition(")")[2].split()[1]), []).append(int(path.parent.name))
    found = [root]
    for pid in found:
        found += children.get(pid, [])
    return found
