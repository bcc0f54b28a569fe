"""A rate that work keeps to."""

import threading
import time
from collections.abc import Callable


class RateLimiter:
    """Lets through so many a second, over all threads that share it. None: as many as come.

    What is taken is let through at once and paid for afterwards, so a large piece delays the next one.
    """

    def __init__(
        self, per_second: float | None, stop: threading.Event, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._per_second = per_second
        self._stop = stop
        self._clock = clock
        self._lock = threading.Lock()
        self._free_at = clock()

    def take(self, count: int) -> None:
        """Wait until earlier pieces are paid for, then owe this one. Returns at once when ``stop`` is set."""
        if self._per_second is None:
            return
        with self._lock:
            begin = max(self._free_at, self._clock())
            self._free_at = begin + count / self._per_second
        self._stop.wait(max(0.0, begin - self._clock()))
