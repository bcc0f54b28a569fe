"""What ``kinfold projector status`` reports, as far as a running worker can read it cheaply, for Prometheus."""

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Final

import structlog
from prometheus_client import Gauge

from faust_kinesis.source import ShardStatus
from ledger.errors import KinfoldError
from projector.components import Components
from projector.status.status import retention_hours

log = structlog.get_logger(__name__)

#: Seconds between two reads of the dead letters and of the stream's retention; they are read at once after this worker
#: has stored a letter.
PERIOD: Final = 60.0


class Gauges:
    """Gauges that are refreshed when the metrics are scraped."""

    def __init__(self, components: Components, now: Callable[[], float] = time.monotonic) -> None:
        self._components = components
        self._now = now
        self._read_at: float | None = None
        self._stored = 0.0
        self._retention_ms: float | None = None

        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(f"kinfold_projector_{name}", text, labels, registry=components.metrics.registry)

        self._letters = gauge("open_dead_letters", "dead letters that wait for an operator")
        self._halted = gauge("halted_aggregates", "aggregates with an open dead letter")
        self._active = gauge("active_generation", "the generation that readers see", "projection")
        self._building = gauge("building_generation", "the generation that a rebuild fills; 0: none", "projection")
        self._beat = gauge("build_beat", "rises every two seconds while the process of a rebuild lives", "projection")
        self._used = gauge(
            "retention_used_ratio",
            "age of the last record read, as a share of the stream's retention: at 1 the stream loses records",
            "shard",
        )
        self._shown: set[str] = set()
        components.guard.expose(components.metrics.registry)
        self._failures = components.metrics.gauge_failures

    def refresh(self, shards: Iterable[ShardStatus]) -> None:
        """Refresh them. What cannot be read keeps its value, counts as a failure, and is retried at the next scrape."""
        try:
            for name, control in self._components.models.controls().items():
                self._active.labels(name).set(control.active)
                self._building.labels(name).set(control.building or 0)
                self._beat.labels(name).set(control.beat)
            stored = self._stored_letters()
            if self._read_at is None or self._now() - self._read_at >= PERIOD or stored != self._stored:
                self._read_slowly()
                self._read_at, self._stored = self._now(), stored
        except KinfoldError as error:
            self._failures.inc()
            log.warning("gauges_not_read", reason=str(error), action="none while it passes")
        if self._retention_ms is not None:
            self._show_use(
                {
                    shard.shard_id: shard.millis_behind_latest / self._retention_ms
                    for shard in shards
                    if shard.millis_behind_latest is not None and not shard.ended
                }
            )

    def _show_use(self, used: Mapping[str, float]) -> None:
        """Show the shards that this worker reads, and no longer those that another one has taken over."""
        for shard_id, share in used.items():
            self._used.labels(shard_id).set(share)
        for shard_id in self._shown - used.keys():
            self._used.remove(shard_id)
        self._shown = set(used)

    def _stored_letters(self) -> float:
        """How many this worker has stored, by its own count."""
        (family,) = self._components.metrics.dead_letters.collect()
        return family.samples[0].value

    def _read_slowly(self) -> None:
        letters = list(self._components.letters.list(state="open"))
        self._letters.set(len(letters))
        self._halted.set(len({letter.letter.aggregate_id for letter in letters if letter.letter.aggregate_id}))
        self._retention_ms = (
            retention_hours(self._components.clients.kinesis, self._components.names.stream) * 3_600_000
        )
