"""What a load did, counted exactly: one tally that many threads write to."""

import statistics
import threading
import time
from dataclasses import dataclass
from typing import Any

from ledger.runtime.cli_output import to_json


@dataclass(frozen=True, slots=True)
class LoadResult:
    """Counts of a load, so far or at its end.

    ``appended``: events that the writer confirmed. ``refused``: commands that broke a rule (422). ``conflicts``: 409.
    ``unavailable``: 503 and connections refused, and ``lost``: lost answers and 500s; the command was sent again each
    time. ``replayed``: confirmed commands that an earlier sending had carried out. ``unknown``: commands that the load
    ended before they were answered. ``versions``: the last version that the writer gave for each aggregate; when
    ``unknown`` is 0, they add up to ``appended``. Latencies are those of confirmed commands, from their first sending.
    """

    appended: int
    refused: int
    conflicts: int
    unavailable: int
    lost: int
    replayed: int
    unknown: int
    seconds: float
    latency_p50_ms: float
    latency_p99_ms: float
    versions: dict[str, int]

    @property
    def rate(self) -> float:
        """Confirmed events a second."""
        return self.appended / self.seconds if self.seconds else 0.0

    def to_json(self) -> dict[str, Any]:
        """The result as ``--json`` prints it."""
        return {**to_json(self), "rate": round(self.rate, 1)}


class Tally:
    """Counts towards ``target`` events, and grants the right to send a command.

    A command is sent only while confirmed and pending ones together are below the target, so a load appends exactly
    that many events.
    """

    def __init__(self, target: int) -> None:
        self._target = target
        self._changed = threading.Condition()
        self._pending = 0
        self._counts = dict.fromkeys(
            ("appended", "refused", "conflicts", "unavailable", "lost", "replayed", "unknown"), 0
        )
        self._versions: dict[str, int] = {}
        self._latencies: list[float] = []
        self._start = self._last_append = time.monotonic()
        self._fault: BaseException | None = None
        self._stopped = False

    def claim(self) -> bool:
        """Wait for the right to send one command; False when there is no more to send."""
        with self._changed:
            while not self._over() and self._counts["appended"] + self._pending >= self._target:
                self._changed.wait()
            if self._over():
                return False
            self._pending += 1
            return True

    def confirm(self, aggregate_id: str, version: int, seconds: float) -> None:
        """Count the claimed command as confirmed: its event took the aggregate to ``version``."""
        with self._changed:
            self._versions[aggregate_id] = max(version, self._versions.get(aggregate_id, 0))
            self._latencies.append(seconds)
            self._last_append = time.monotonic()
            self._release("appended")

    def count(self, what: str) -> None:
        """Count the claimed command as over without a confirmed event: refused, conflicts or unknown."""
        with self._changed:
            self._release(what)

    def increment(self, what: str) -> None:
        """Count an incident of the claimed command, which is not over yet: unavailable, lost or replayed."""
        with self._changed:
            self._counts[what] += 1

    def wait(self, seconds: float) -> bool:
        """Wait before a command is sent again; True when the load was ended meanwhile."""
        with self._changed:
            return self._changed.wait_for(lambda: self._stopped, seconds)

    def stop(self, fault: BaseException | None = None) -> None:
        """Let every thread end; the first ``fault`` is what ``raise_fault`` raises."""
        with self._changed:
            self._fault = self._fault or fault
            self._stopped = True
            self._changed.notify_all()

    def raise_fault(self) -> None:
        """Raise what ended the load early."""
        if self._fault is not None:
            raise self._fault

    def stalled(self) -> float:
        """Seconds since the last confirmed event, or since the start."""
        with self._changed:
            return time.monotonic() - self._last_append

    def result(self, latencies_of_last: int = 0) -> LoadResult:
        """The counts so far. ``latencies_of_last``: over how many confirmed commands; 0: all, which costs a sort."""
        with self._changed:
            counts, versions = dict(self._counts), dict(self._versions)
            latencies = self._latencies[-latencies_of_last:]
            end = self._last_append if counts["appended"] >= self._target else time.monotonic()
        cuts = statistics.quantiles(latencies, n=100) if len(latencies) > 1 else latencies * 99 or [0.0] * 99
        return LoadResult(
            **counts,
            seconds=round(end - self._start, 3),
            latency_p50_ms=round(cuts[49] * 1000, 2),
            latency_p99_ms=round(cuts[98] * 1000, 2),
            versions=versions,
        )

    def _over(self) -> bool:
        return self._stopped or self._counts["appended"] >= self._target

    def _release(self, what: str) -> None:
        self._counts[what] += 1
        self._pending -= 1
        self._changed.notify_all()
