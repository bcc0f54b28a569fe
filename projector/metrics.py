"""The projector's metrics, for Prometheus."""

from collections.abc import Sequence
from datetime import UTC, datetime

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from faust_kinesis.source import ShardStatus


class Metrics:
    """The projector's counters, in a registry of their own: a process may hold several projectors."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()

        def counter(name: str, text: str) -> Counter:
            return Counter(f"kinfold_projector_{name}", text, registry=self.registry)

        def by_table(name: str, text: str) -> Counter:
            return Counter(f"kinfold_projector_{name}", text, ["table"], registry=self.registry)

        self.applied = by_table("applied", "events folded into a read model, durably")
        self.duplicates = by_table("duplicates", "delivered events that the read model already held")
        self.gaps_repaired = by_table("gaps_repaired", "gaps in the delivery that were filled from the event store")
        self.lost_conditions = by_table("lost_conditions", "aggregates whose write another writer had overtaken")
        self.waiting = by_table("waiting", "delivered events that wait in the event store for their halted aggregate")
        self.dead_letters = counter("dead_letters", "dead letters stored, repeated ones included")
        self.halted = counter("halted", "halts set by this worker: one for each aggregate and read model")
        self.records = counter("records", "records received from the stream")
        self.passed_by = counter("passed_by", "records of aggregates that no projection takes")
        self.transient_faults = counter("transient_faults", "batches retried because of a transient fault")
        self.gauge_failures = counter("gauge_failures", "reads of the slow gauges that failed transiently")
        self.batch_seconds = Histogram(
            "kinfold_projector_batch_seconds",
            "time to apply one batch, reads and writes included",
            registry=self.registry,
        )
        self.millis_behind_latest = Gauge(
            "kinfold_projector_millis_behind_latest",
            "age of the last record read against the tip of its shard, as Kinesis reports it",
            ["shard"],
            registry=self.registry,
        )
        self.leases_held = Gauge(
            "kinfold_projector_leases_held", "shards that this worker reads", registry=self.registry
        )
        self.lease_counter = Gauge(
            "kinfold_projector_lease_counter",
            "writes to the lease of a shard that this worker reads: it rises with every renewal and checkpoint",
            ["shard"],
            registry=self.registry,
        )
        self.unpolled_seconds = Gauge(
            "kinfold_projector_unpolled_seconds",
            "time since this worker last read a shard that it has the lease of, whatever came of it",
            ["shard"],
            registry=self.registry,
        )
        self.unread_shards = Gauge(
            "kinfold_projector_unread_shards",
            "shards that nobody reads: their lease has no owner, or one that no longer renews it; shards whose parents "
            "are still being read do not count",
            registry=self.registry,
        )

    def show(self, shards: Sequence[ShardStatus]) -> None:
        """Set the gauges of the shards that this worker reads; those of other shards disappear."""
        open_shards = {shard.shard_id for shard in shards if not shard.ended}
        self.unread_shards.set(
            sum(shard.owner is None and not shard.ended and open_shards.isdisjoint(shard.parents) for shard in shards)
        )
        now = datetime.now(UTC)
        held = [shard for shard in shards if shard.last_polled_at is not None and not shard.ended]
        self.leases_held.set(len(held))
        self.millis_behind_latest.clear()
        self.lease_counter.clear()
        self.unpolled_seconds.clear()
        for shard in held:
            assert shard.last_polled_at is not None
            self.unpolled_seconds.labels(shard.shard_id).set((now - shard.last_polled_at).total_seconds())
            self.lease_counter.labels(shard.shard_id).set(shard.lease_counter)
            if shard.millis_behind_latest is not None:
                self.millis_behind_latest.labels(shard.shard_id).set(shard.millis_behind_latest)


class TableMetrics:
    """The counters of one read model's table."""

    def __init__(self, metrics: Metrics, table: str) -> None:
        self.applied = metrics.applied.labels(table)
        self.duplicates = metrics.duplicates.labels(table)
        self.gaps_repaired = metrics.gaps_repaired.labels(table)
        self.lost_conditions = metrics.lost_conditions.labels(table)
        self.waiting = metrics.waiting.labels(table)
