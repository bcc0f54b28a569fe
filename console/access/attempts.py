"""How often somebody may try to sign in: a bound for each address, and one for all of them together."""

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Final

from cachetools import TTLCache

#: Seconds that a failed attempt counts, and how many count at most: from one address, and from all.
WINDOW: Final = 60.0
BY_ADDRESS: Final = 10
BY_ALL: Final = 100
_ADDRESSES: Final = 10_000


class Attempts:
    """Failed attempts of the last minute. Safe to share between threads."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._all: deque[float] = deque(maxlen=BY_ALL)
        self._of: TTLCache[str, deque[float]] = TTLCache(_ADDRESSES, WINDOW, timer=now)
        self._lock = threading.Lock()

    def wait(self, address: str) -> float:
        """Seconds that this address has to wait before it may try again; 0: it may."""
        with self._lock:
            own = self._of.get(address, deque())
            return max(self._left(own, BY_ADDRESS), self._left(self._all, BY_ALL))

    def failed(self, address: str) -> None:
        """Count a failed attempt."""
        with self._lock:
            own = self._of.get(address) or deque(maxlen=BY_ADDRESS)
            own.append(self._now())
            self._all.append(self._now())
            self._of[address] = own

    def _left(self, times: deque[float], most: int) -> float:
        return max(0.0, times[0] + WINDOW - self._now()) if len(times) >= most else 0.0
