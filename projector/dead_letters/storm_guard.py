"""The storm guard: many accounts halted at once are a bad deploy, not many bad accounts."""

import time
from collections import deque
from collections.abc import Callable

from ledger.errors import PermanentError


class StormError(PermanentError):
    """More accounts were halted in a short time than single bad events explain."""

    exit_code = 3


class StormGuard:
    """Counts halted accounts in a sliding window."""

    def __init__(self, limit: int, window: float, now: Callable[[], float] = time.monotonic) -> None:
        """At most ``limit`` accounts may be halted in ``window`` seconds."""
        self._limit = limit
        self._window = window
        self._now = now
        self._halted: deque[float] = deque()

    def halted(self, account_id: str, reason: str) -> None:
        """Count one account. Raises StormError when it is one too many."""
        now = self._now()
        self._halted.append(now)
        while now - self._halted[0] > self._window:
            self._halted.popleft()
        if len(self._halted) > self._limit:
            raise StormError(
                f"{len(self._halted)} accounts were halted within {self._window:.0f} s, the last one {account_id} "
                f"({reason}). That looks like a bad deploy: roll back to the former version or fix this one, then "
                f"`kinfold projector dead-letters redrive --all`. Raise KINFOLD_STORM_LIMIT if it is right."
            )
