"""Waiting until AWS has brought a resource into another state, with progress lines for a person."""

import time
from collections.abc import Callable
from typing import Final

from ledger.errors import ResourceError

#: Seconds between two polls, and between two equal lines.
_INTERVAL: Final = 0.5
_REMIND: Final = 10.0


class StateWaiter:
    """One budget of seconds for everything that an operation waits for; reports every new or lasting state."""

    def __init__(
        self,
        timeout: float,
        report: Callable[[str], None],
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """``timeout`` is in seconds."""
        self.report = report
        self._timeout = timeout
        self._clock = clock
        self._sleep = sleep
        self._start = clock()
        self._reported: tuple[str, float] | None = None

    def wait(self, state: str) -> None:
        """Sleep once, reporting ``state`` ("stream x is CREATING"). Raises ResourceError when the budget is spent."""
        now = self._clock()
        waited = now - self._start
        if waited >= self._timeout:
            raise ResourceError(
                f"{state} still, after {waited:.0f} s; run the command again to go on waiting "
                f"(KINFOLD_ACTIVE_TIMEOUT: at most {self._timeout:.0f} s a run)"
            )
        if self._reported is None or self._reported[0] != state or now - self._reported[1] >= _REMIND:
            self.report(f"waiting: {state} ({waited:.0f} s of at most {self._timeout:.0f} s)")
            self._reported = (state, now)
        self._sleep(_INTERVAL)
