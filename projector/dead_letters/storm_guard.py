"""The storm guard: many aggregates halted at once are a bad deploy, not many bad aggregates."""

import time
from collections.abc import Callable

from ledger.errors import PermanentError


class StormError(PermanentError):
    """More aggregates were halted in a short time than single bad events explain."""

    exit_code = 3


class StormGuard:
    """Counts the aggregates halted in a sliding window, each once, however many read models and letters it has."""

    def __init__(self, limit: int, window: float, now: Callable[[], float] = time.monotonic) -> None:
        """At most ``limit`` aggregates may be halted in ``window`` seconds."""
        self._limit = limit
        self._window = window
        self._now = now
        self._halted: dict[str, float] = {}

    def halted(self, aggregate_id: str, reason: str) -> None:
        """Count an aggregate from now on. Raises StormError when it is one too many."""
        now = self._now()
        self._halted[aggregate_id] = now
        self._halted = {each: when for each, when in self._halted.items() if now - when <= self._window}
        if len(self._halted) > self._limit:
            raise StormError(
                f"{len(self._halted)} aggregates were halted within {self._window:.0f} s, the last one {aggregate_id} "
                f"({reason}). That looks like a bad deploy: roll back to the former version or fix this one, then "
                f"`kinfold projector dead-letters redrive --all`. Raise KINFOLD_STORM_LIMIT if it is right."
            )
