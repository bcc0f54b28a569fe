"""What the services tell of themselves: their metrics over the last minutes, as rates and percentiles."""

import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

import httpx

from console.looking.latest import Latest
from console.looking.samples import samples
from ledger.runtime.sockets import is_loopback_url

#: Seconds between two readings while somebody looks, and for which they are kept.
PERIOD: Final = 5.0
KEPT: Final = 300.0
#: Seconds over which a rate is taken.
_RATE_OVER: Final = 30.0
_TIMEOUT: Final = 2.0
#: Seconds that a page waits for a reading.
_WAIT: Final = 0.1

Figures = dict[tuple[str, str], float]


@dataclass(slots=True)
class ServiceReading:
    """One service: why it could not be read last, and what it said when: by name and labels."""

    url: str
    error: str | None = "not read yet"
    #: Whether it answered last that it wants a token of scope operate, and got none or another.
    guarded: bool = False
    readings: deque[tuple[float, Figures]] = field(default_factory=deque)


class ServiceMetrics:
    """The services' ``/metrics``. Safe to share between threads."""

    def __init__(
        self,
        urls: Sequence[str],
        token: str,
        begin: Callable[[Callable[[], None]], object] = lambda read: read(),
        *,
        now: Callable[[], float] = time.monotonic,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        """``token``: the bearer token that the services ask for; empty for none. ``begin`` runs what is refreshed."""
        self.services = [ServiceReading(url.rstrip("/")) for url in urls]
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        # A proxy of the environment has no way to our loopback interface.
        self._clients = {
            trust: httpx.Client(timeout=_TIMEOUT, trust_env=trust, headers=headers, transport=transport)
            for trust in {not is_loopback_url(url) for url in urls}
        }
        self._now = now
        self._latest = Latest(self.read, begin, period=PERIOD, now=now)

    def refresh(self) -> None:
        """Have the services read in the background, unless that was just done; waits a moment for it."""
        self._latest.last(_WAIT)

    def read(self) -> None:
        """Read every service now. One that cannot be read says so in its ``error``."""
        for service in self.services:
            self._read(service)

    def rate(
        self, name: str, of: Callable[[Iterable[float]], float] = sum, *, over: float = _RATE_OVER
    ) -> float | None:
        """How much a counter grew a second in the last seconds, of all its labels, over all services.

        ``of``: the labels together, or ``max`` of them; ``over``: seconds, 0 for the time between the last two
        readings. None where nobody has it twice.
        """
        rates = [rate for service in self.services if (rate := _rate(service, name, of, over)) is not None]
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
            client = self._clients[not is_loopback_url(service.url)]
            text = client.get(f"{service.url}/metrics").raise_for_status().text
            figures = {
                (name, ",".join(map("=".join, sorted(labels.items())))): value for name, labels, value in samples(text)
            }
        except (httpx.HTTPError, ValueError) as error:
            # Not the words of the error: they may repeat what a stranger answers.
            status = error.response.status_code if isinstance(error, httpx.HTTPStatusError) else None
            service.error = f"it answers with {status}" if status else f"it does not answer ({type(error).__name__})"
            service.guarded = status in {401, 403}
            return
        service.error, service.guarded = None, False
        now = self._now()
        service.readings.append((now, figures))
        while service.readings[0][0] < now - KEPT:
            service.readings.popleft()


def _rate(service: ServiceReading, name: str, of: Callable[[Iterable[float]], float], over: float) -> float | None:
    readings = list(service.readings)
    if service.error is not None or len(readings) < 2:
        return None
    last_at, last = readings[-1]
    first_at, first = next((each for each in readings if each[0] >= last_at - over), readings[-2])
    if first_at == last_at:
        first_at, first = readings[-2]
    if not any(each == name for each, _ in last):
        return None
    # A counter that has fallen belongs to a process that was started anew: all of it is new.
    grown = of(
        value - before if value >= (before := first.get(key, 0.0)) else value
        for key, value in last.items()
        if key[0] == name
    )
    return grown / (last_at - first_at)
