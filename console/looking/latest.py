"""The latest reading of something that takes a while: taken in the background while somebody looks, and never else."""

import time
from collections.abc import Callable
from math import inf
from typing import Generic, TypeVar

import structlog

from console.looking.aws_calls import tallied
from console.shared_work import SharedWork
from ledger.errors import KinfoldError

log = structlog.get_logger(__name__)

T = TypeVar("T")


class Latest(Generic[T]):
    """The latest reading, one for however many look at it. Safe to share between threads.

    ``error``: why it could not be read anew since.
    """

    def __init__(
        self,
        read: Callable[[], T],
        begin: Callable[[Callable[[], None]], object],
        *,
        period: float,
        a_call: float = 0.0,
        old: float = inf,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """``begin`` runs a reading in the background.

        ``period``: seconds between two readings; ``a_call``: seconds for each call to AWS that one took, if these are
        more. ``old``: seconds after which a reading says nothing about the present any more: nobody has looked.
        """
        self._read = read
        self._least = self._period = period
        self._a_call = a_call
        self._old = old
        self._now = now
        self._tried_at = self._read_at = now() - period
        self._value: T | None = None
        self._reading = SharedWork(self._look, lambda: self._now() - self._tried_at >= self._period, begin)
        self.error: str | None = None

    @property
    def age(self) -> float:
        """Seconds since the last reading that did not fail."""
        return self._now() - self._read_at

    def look(self) -> T:
        """Read now. Raises what the reading does."""
        with tallied() as tally:
            value = self._value = self._read()
        self._read_at, self.error = self._now(), None
        self._period = max(self._least, min(tally.calls * self._a_call, self._old / 2))
        self._tried_at = self._read_at
        return value

    def last(self, wait: float = 0.0) -> T | None:
        """What was read last, None before; when it is old, it is read anew, and so many seconds at most waited for."""
        self._reading.join(wait)
        return self._value if self._now() - self._tried_at < self._old else None

    def _look(self, _tell: Callable[[], object]) -> None:
        try:
            self.look()
        except KinfoldError as error:
            log.warning("not_looked", reason=str(error), action="none while it passes")
            self.error = str(error)
        finally:
            self._tried_at = self._now()
