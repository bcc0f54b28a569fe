"""What befalls a process at its AWS calls rather than at a moment, so that every call has its turn."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Final

from simulation.kernel.scheduler import Process, Scheduler

#: Odds that a starved process stands still after a call, and for how many seconds at most.
_STARVED: Final = 0.6
_SPELL: Final = 5.0


class Interruptions:
    """Counts the calls of the processes that it was told of."""

    def __init__(self, scheduler: Scheduler, random: Random) -> None:
        self._scheduler = scheduler
        self._random = random
        self._left: dict[Process, int] = {}
        self._then: dict[Process, Callable[[], None]] = {}
        self._starved: dict[Process, float] = {}

    def after(self, process: Process, calls: int, act: Callable[[], None]) -> None:
        """Have the hub ``act`` right after so many calls of a process, before it makes another one."""
        self._left[process], self._then[process] = calls, act

    def starve(self, process: Process, seconds: float) -> None:
        """For so long, let the process stand still for a while after many of its calls."""
        self._starved[process] = self._scheduler.now + seconds

    def clear(self) -> None:
        """No more of it."""
        self._left, self._then, self._starved = {}, {}, {}

    def called(self) -> None:
        """The running thread's process has made a call."""
        fiber = self._scheduler.current
        if fiber is None:
            return
        process, now = fiber.process, self._scheduler.now
        if process in self._left:
            self._left[process] -= 1
            if self._left[process] <= 0:
                del self._left[process]
                self._scheduler.call_at(now, self._then.pop(process))
        if now < self._starved.get(process, 0.0) and self._random.random() < _STARVED:
            process.paused_until = max(process.paused_until, now + self._random.random() * _SPELL)
