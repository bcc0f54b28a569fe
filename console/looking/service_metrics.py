"""What the services tell of themselves: their metrics over the last minutes, as rates and percentiles."""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import httpx
from prometheus_client.parser import text_string_to_metric_families

#: Seconds between two readings while somebody looks, and for which they are kept.
PERIOD: Final = 2.0
KEPT: Final = 300.0
#: Seconds over which a rate is taken.
_RATE_OVER: Final = 30.0
_TIMEOUT: Final = 2.0

Figures = dict[tuple[str, str], float]


@dataclass(slots=True)
class ServiceReading:
    """One service: why it could not be read last, and what it said when: by name and labels."""

    url: str
    error: str | None = "not read yet"
    readings: deque[tuple[float, Figures]] = field(default_factory=deque)


class ServiceMetrics:
    """The services' ``/metrics``, read when somebody asks and at most every PERIOD seconds. Safe between threads."""

    def __init__(
        self,
        urls: Sequence[str],
        token: str,
        *,
        now: Callable[[], float] = time.monotonic,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        """``token``: the bearer token that the services ask for; empty for none."""
        self.services = [ServiceReading(url.rstrip("/")) for url in urls]
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._client = httpx.Client(timeout=_TIMEOUT, trust_env=False, headers=headers, transport=transport)
        self._now = now
        self._read_at = -PERIOD
        self._lock = threading.Lock()

    def refresh(self) -> None:
        """Read the services, unless that was just done. Returns at once while somebody else does it."""
        if not self._lock.acquire(blocking=False):
            return
        try:
            if self._now() - self._read_at < PERIOD:
                return
            for service in self.services:
                self._read(service)
            self._read_at = self._now()
        finally:
            self._lock.release()

    def rate(self, name: str) -> float | None:
        """How much a counter grew a second lately, over all its labels and services; None where nobody has it twice."""
        rates = [rate for service in self.services if (rate := _rate(service, name)) is not None]
        return sum(rates) if rates else None

    def total(self, name: str) -> float | None:
        """A figure as it was last read, over all its labels and services; None where nobody has it."""
        found = [
            value
            for service in self.services
            if service.error is None and service.readings
            for (each, _), value in service.readings[-1][1].items()
            if each == name
        ]
        return sum(found) if found else None

    def by_label(self, name: str) -> dict[str, float]:
        """A figure by its labels as they are written, summed over the services."""
        found: dict[str, float] = {}
        for service in self.services:
            for (each, labels), value in service.readings[-1][1].items() if service.readings else ():
                if each == name:
                    found[labels] = found.get(labels, 0.0) + value
        return found

    def percentiles(self, name: str, *shares: float) -> list[float] | None:
        """Percentiles of a gauge over all readings that are kept; None where there are none."""
        values = sorted(
            value
            for service in self.services
            for _, figures in list(service.readings)
            for (each, _), value in figures.items()
            if each == name
        )
        return [values[min(int(share * len(values)), len(values) - 1)] for share in shares] if values else None

    def _read(self, service: ServiceReading) -> None:
        try:
            text = self._client.get(f"{service.url}/metrics").raise_for_status().text
            figures = {
                (sample.name, ",".join(map("=".join, sorted(sample.labels.items())))): sample.value
                for family in text_string_to_metric_families(text)
                for sample in family.samples
            }
        except (httpx.HTTPError, ValueError) as error:
            # Not the words of the error: they may repeat what a stranger answers.
            status = error.response.status_code if isinstance(error, httpx.HTTPStatusError) else None
            service.error = f"it answers with {status}" if status else f"it does not answer ({type(error).__name__})"
            return
        service.error = None
        now = self._now()
        service.readings.append((now, figures))
        while service.readings[0][0] < now - KEPT:
            service.readings.popleft()


def _rate(service: ServiceReading, name: str) -> float | None:
    readings = list(service.readings)
    if service.error is not None or len(readings) < 2:
        return None
    last_at, last = readings[-1]
    first_at, first = next((each for each in readings if each[0] >= last_at - _RATE_OVER), readings[-2])
    if first_at == last_at:
        first_at, first = readings[-2]
    if not any(each == name for each, _ in last):
        return None
    # A counter that has fallen belongs to a process that was started anew: all of it is new.
    grown = sum(
        value - before if value >= (before := first.get(key, 0.0)) else value
        for key, value in last.items()
        if key[0] == name
    )
    return grown / (last_at - first_at)
