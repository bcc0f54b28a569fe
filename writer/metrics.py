"""What the writer counts. Each app has a registry of its own, so that two apps in one process do not mix."""

from collections.abc import Iterable
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
#: How a command ends.
OUTCOMES: Final = ("accepted", "replayed", "refused", "key_reused", "conflict", "unavailable", "unreadable", "failed")


class Metrics:
    """The writer's counters, named ``kinfold_writer_...``."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"kinfold_writer_{name}", text, labels, registry=self.registry)

        self.commands = counter(
            "commands",
            f"Commands by how they ended: {', '.join(OUTCOMES)}.",
            "command",
            "outcome",
        )
        self.seconds = Histogram(
            "kinfold_writer_command_seconds",
            "Time from a well-formed command to its outcome.",
            ["command"],
            registry=self.registry,
            buckets=_BUCKETS,
        )
        self.conflicts = counter("conflicts", "Version conflicts met, whether the command was decided anew or not.")
        self.conflict_retries = counter("conflict_retries", "Commands decided anew after a version conflict.")
        self.write_retries = counter(
            "write_retries", "Writes of accepted commands sent again after throttling, contention or a lost answer."
        )
        self.appends = counter(
            "appends", "Writes to the event store; commands that waited for the same aggregate share one."
        )
        self.events = counter("events", "Events stored.")
        self.write_units = counter("write_units", "Write units that DynamoDB charged for accepted commands.", "command")
        self.snapshots = counter(
            "snapshots",
            "Snapshots by what became of them: written, superseded, too_large, dropped, discarded or failed.",
            "outcome",
        )
        self.snapshots_ignored = counter(
            "snapshots_ignored",
            "Loads that could not use a snapshot: missing, schema, unreadable or ahead (of the events).",
            "reason",
        )
        self.under_way = Gauge(
            "kinfold_writer_requests_under_way",
            "Requests on aggregates that were accepted and not yet answered, waiting ones among them.",
            registry=self.registry,
        )
        self.turned_away = counter(
            "requests_turned_away",
            "Requests on aggregates answered with 503 before any work: the queue was full, or the wait in it too long.",
            "reason",
        )
        self.responses = counter(
            "responses", "HTTP responses by status, refused and malformed requests among them.", "status"
        )
        for status in ("500", "503"):
            self.responses.labels(status)
        for reason in ("queue_full", "waited_too_long"):
            self.turned_away.labels(reason)

    def declare(self, commands: Iterable[str]) -> None:
        """Show what these commands are counted by from the start, as 0.

        Prometheus sees no increase in a counter that begins at 1: the first failure would go unnoticed.
        """
        for command in commands:
            self.seconds.labels(command)
            self.write_units.labels(command)
            for outcome in OUTCOMES:
                self.commands.labels(command, outcome)
