"""Waiting for AWS to bring a resource into another state, and saying so."""

import time
from collections.abc import Callable

from ledger.errors import ResourceError

Tell = Callable[[str], None]


class Patience:
    """One budget of seconds for everything an operation waits for, with a line for every new or lasting state."""

    def __init__(
        self,
        timeout: float,
        tell: Tell,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        interval: float = 0.5,
        remind: float = 10.0,
    ) -> None:
        """``timeout``, ``interval`` between two looks and ``remind`` between two equal lines are seconds."""
        self.tell = tell
        self._timeout = timeout
        self._clock = clock
        self._sleep = sleep
        self._interval = interval
        self._remind = remind
        self._start = clock()
        self._told: tuple[str, float] | None = None

    def wait(self, state: str) -> None:
        """Sleep once, telling ``state`` ("stream x is CREATING"). Raises ResourceError when the time is up."""
        now = self._clock()
        waited = now - self._start
        if waited >= self._timeout:
            raise ResourceError(
                f"{state} still, after {waited:.0f} s; run the command again to go on waiting "
                f"(KINFOLD_ACTIVE_TIMEOUT: at most {self._timeout:.0f} s a run)"
            )
        if self._told is None or self._told[0] != state or now - self._told[1] >= self._remind:
            self.tell(f"waiting: {state} ({waited:.0f} s of at most {self._timeout:.0f} s)")
            self._told = (state, now)
        self._sleep(self._interval)
