"""How fast work goes, and how long it will still take: the same for a progress bar, a log line and a stored job."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pace:
    """Work at one moment: ``done`` of about ``total`` things, of which this run did ``own`` within ``seconds``.

    A run that goes on where another one was has a pace of its own: neither what the other one did nor the time between
    the two counts.
    """

    done: int
    total: int
    own: int
    seconds: float

    @property
    def rate(self) -> float | None:
        """Things a second since the run began; None as long as it has done nothing."""
        return self.own / self.seconds if self.own > 0 and self.seconds > 0 else None

    @property
    def seconds_left(self) -> float | None:
        """Seconds until all is done; None where no rate is known, or as much is done as there was said to be."""
        return (self.total - self.done) / self.rate if self.rate is not None and self.total > self.done else None
