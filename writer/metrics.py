"""What the writer counts. Each app has a registry of its own, so that two apps in one process do not mix."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """The writer's counters, named ``kinfold_writer_...``."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.commands = Counter(
            "kinfold_writer_commands",
            "Commands by how they ended: accepted, replayed, refused, key_reused, conflict, unavailable or failed.",
            ["command", "outcome"],
            registry=self.registry,
        )
        self.seconds = Histogram(
            "kinfold_writer_command_seconds",
            "Time from a well-formed command to its outcome.",
            ["command"],
            registry=self.registry,
            buckets=_BUCKETS,
        )
        self.conflicts = Counter(
            "kinfold_writer_conflicts",
            "Version conflicts met, whether the command was decided anew or not.",
            registry=self.registry,
        )
        self.conflict_retries = Counter(
            "kinfold_writer_conflict_retries",
            "Commands decided anew after a version conflict.",
            registry=self.registry,
        )
        self.write_retries = Counter(
            "kinfold_writer_write_retries",
            "Writes of accepted commands sent again after throttling, contention or a lost answer.",
            registry=self.registry,
        )
        self.write_units = Counter(
            "kinfold_writer_write_units",
            "Write units that DynamoDB charged for accepted commands.",
            ["command"],
            registry=self.registry,
        )
        self.snapshots = Counter(
            "kinfold_writer_snapshots",
            "Snapshots by what became of them: written, superseded, too_large, dropped or failed.",
            ["outcome"],
            registry=self.registry,
        )
        self.snapshots_ignored = Counter(
            "kinfold_writer_snapshots_ignored",
            "Loads that could not use a snapshot: missing, schema, unreadable or ahead (of the events).",
            ["reason"],
            registry=self.registry,
        )
        self.under_way = Gauge(
            "kinfold_writer_requests_under_way",
            "Requests on accounts that were accepted and not yet answered, waiting ones among them.",
            registry=self.registry,
        )
        self.turned_away = Counter(
            "kinfold_writer_requests_turned_away",
            "Requests on accounts answered with 503 before any work: the queue was full, or the wait in it too long.",
            ["reason"],
            registry=self.registry,
        )
        self.responses = Counter(
            "kinfold_writer_responses",
            "HTTP responses by status, refused and malformed requests among them.",
            ["status"],
            registry=self.registry,
        )
