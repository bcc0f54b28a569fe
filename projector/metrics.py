"""What the projector counts, for Prometheus."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram


class Metrics:
    """The projector's counters, in a registry of their own: a process may hold several projectors."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()

        def counter(name: str, text: str) -> Counter:
            return Counter(f"kinfold_projector_{name}", text, registry=self.registry)

        self.applied = counter("applied", "events folded into a summary that became durable")
        self.duplicates = counter("duplicates", "delivered events that their summary already held")
        self.gaps_repaired = counter("gaps_repaired", "gaps in the delivery that were filled from the event store")
        self.lost_conditions = counter("lost_conditions", "summary writes that another writer had overtaken")
        self.records = counter("records", "records received from the stream")
        self.transient_faults = counter("transient_faults", "batches tried again because of a passing fault")
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
