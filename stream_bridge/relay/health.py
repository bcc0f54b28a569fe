"""The health and metrics of a relay process. Written by the event loop, read by the web server's thread."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import partial
from typing import Any, Final

from prometheus_client import CollectorRegistry, Counter, Gauge

from stream_bridge.daemon_http import HealthReport

#: Seconds after which a transient fault makes the relay unhealthy, and not just unready.
UNHEALTHY_AFTER: Final = 30.0
#: Seconds without a read after which a shard counts as not followed.
STALE_AFTER: Final = 10.0


class Role(StrEnum):
    """What the relay does. ``standby``: another relay is active, and this one waits to take over."""

    STARTING = "starting"
    STANDBY = "standby"
    ACTIVE = "active"
    STOPPING = "stopping"


@dataclass(slots=True)
class ShardHealth:
    """One shard. ``oldest``: when the table was changed by the oldest record that is read and not put."""

    polled_at: float
    oldest: datetime | None = None
    behind: bool = True


class RelayHealth:
    """The health of one relay process: a ``daemon_http.Daemon`` and a ``RetryListener``."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.role = Role.STARTING
        self.holder: str | None = None
        self.shards: dict[str, ShardHealth] = {}
        self.relayed = 0
        #: Since when, by ``time.monotonic``, and why each action fails.
        self._faults: dict[str, tuple[float, str]] = {}

        counter = partial(Counter, namespace="kinfold_relay", registry=self.registry)
        gauge = partial(Gauge, namespace="kinfold_relay", registry=self.registry)
        self._records = counter("records", "records of the table's stream that are on the Kinesis stream")
        self.refusals = counter("put_refusals", "records that PutRecords refused for the moment, put again")
        self.gaps = counter("gaps_filled", "runs of events read from the event store: the stream had not shown them")
        self.from_store = counter("events_from_store", "events read from the event store and put before later ones")
        self.skipped = counter("records_passed_by", "records over the size that the stream takes, not put")
        self.losses = counter("losses", "times that records had left the table's stream before they were read")
        self._active = gauge("active", "1 while this is the active relay")
        self._lag = gauge(
            "lag_seconds", "age of the oldest change that is read and not yet on the stream; 0 when there is none"
        )

    def failed(self, action: str, error: BaseException | str) -> None:
        """Record that an action fails transiently."""
        since, _ = self._faults.get(action, (time.monotonic(), ""))
        self._faults[action] = since, f"cannot {action}: {error}"

    def over(self, action: str) -> None:
        """Record that the action no longer fails."""
        self._faults.pop(action, None)

    def put(self, count: int) -> None:
        """Count records that are on the stream, or skipped as too large."""
        self.relayed += count
        self._records.inc(count)

    @property
    def lag(self) -> float:
        """Age in seconds of the oldest change that is read and not put; 0 when all is put."""
        waiting = [shard.oldest for shard in list(self.shards.values()) if shard.oldest]
        return max(0.0, (datetime.now(UTC) - min(waiting)).total_seconds()) if waiting else 0.0

    def health(self) -> HealthReport:
        """Unhealthy once a transient fault has lasted for half a minute."""
        for since, reason in list(self._faults.values()):
            lasted = time.monotonic() - since
            if lasted > UNHEALTHY_AFTER:
                return HealthReport(f"for {lasted:.0f} s: {reason}")
        return HealthReport()

    def ready(self) -> HealthReport:
        """Ready while it relays, and while it is on standby."""
        return HealthReport(self._why_not_ready(), self._details())

    def show(self) -> None:
        """Bring the gauges up to date."""
        self._active.set(self.role is Role.ACTIVE)
        self._lag.set(self.lag)

    def _why_not_ready(self) -> str | None:
        for _, reason in list(self._faults.values()):
            return reason
        if self.role not in {Role.ACTIVE, Role.STANDBY}:
            return f"the relay is {self.role}"
        for shard_id, shard in list(self.shards.items()):
            age = time.monotonic() - shard.polled_at
            if age > STALE_AFTER:
                return f"shard {shard_id} of the table's stream was last read {age:.0f} s ago"
        return None

    def _details(self) -> dict[str, Any]:
        return {
            "role": self.role.value,
            "holder": self.holder,
            "lagSeconds": round(self.lag, 3),
            "caughtUp": not any(shard.behind for shard in list(self.shards.values())),
            "shards": sorted(self.shards),
        }
