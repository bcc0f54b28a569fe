"""What the watch counts, for Prometheus."""

from prometheus_client import CollectorRegistry, Counter, Gauge


class WatchMetrics:
    """The watch's figures, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()

        def counter(name: str, text: str) -> Counter:
            return Counter(f"kinfold_watch_{name}", text, registry=self.registry)

        def gauge(name: str, text: str) -> Gauge:
            return Gauge(f"kinfold_watch_{name}", text, registry=self.registry)

        self.sound = gauge("sound", "1 while table, stream and destination are such that events reach the stream")
        self.held = gauge("held", "1 while a person holds the watch")
        self.waiting = gauge("waiting", "events that the table took and the stream has not shown yet")
        self.missing = gauge("missing", "events that the stream does not show although their grace is over")
        self.lost = counter("lost", "events found missing from the stream and put on it")
        self.republished = counter("republished", "events put on the stream by the watch")
        self.spells = counter("spells", "times that events did not reach the stream")
        self.repairs = counter("repairs", "times that the watch enabled the destination")
