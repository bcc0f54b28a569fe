"""Puts the simulation's clocks, threads and randomness where the standard library's are.

To be installed in a process of its own, before the code under test is imported. Outside a running simulation, the
clocks and the randomness are the real ones.
"""

from __future__ import annotations

import concurrent.futures
import datetime
import os
import random
import sys
import threading
import time
import uuid
from collections.abc import Callable
from types import ModuleType
from typing import Any, Final

from simulation.kernel import primitives
from simulation.kernel.primitives import World
from simulation.kernel.scheduler import EPOCH, Fiber, Scheduler

_REAL_DATETIME: Final = datetime.datetime
_real_urandom = os.urandom


class _DatetimeType(type):
    """Every datetime is an instance of the simulation's."""

    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, _REAL_DATETIME)


class Datetime(datetime.datetime, metaclass=_DatetimeType):
    """`datetime.datetime`, whose `now` is the simulated process's."""

    @classmethod
    def now(cls, tz: datetime.tzinfo | None = None) -> Any:
        """See `datetime.datetime.now`."""
        return _REAL_DATETIME.fromtimestamp(time.time(), tz)


def _clock(real: Callable[..., float], simulated: Callable[[Scheduler, Fiber], float]) -> Callable[..., float]:
    def read(*args: Any) -> float:
        clock = World.scheduler
        if clock is None or clock.current is None:
            return real(*args)
        return simulated(clock, clock.current)

    return read


def _wall_clock(clock: Scheduler, fiber: Fiber) -> float:
    return EPOCH + clock.now + fiber.process.skew


def _monotonic(clock: Scheduler, _: Fiber) -> float:
    return clock.now


def _sleep(real: Callable[[float], None]) -> Callable[[float], None]:
    def sleep(seconds: float) -> None:
        if World.fiber() is None:
            real(seconds)
        else:
            primitives.scheduler().sleep(seconds)

    return sleep


def urandom(size: int) -> bytes:
    """`os.urandom`, drawn from the run's seed."""
    return _real_urandom(size) if World.fiber() is None else primitives.scheduler().random.randbytes(size)


def _random() -> float:
    return random.SystemRandom().random() if World.scheduler is None else World.scheduler.random.random()


def install() -> None:
    """Patch this process. Raises RuntimeError when hashes of strings differ from one process to the next."""
    if os.environ.get("PYTHONHASHSEED", "random") == "random":
        raise RuntimeError("set PYTHONHASHSEED=0: the order of sets must be the same in every run")
    for name, simulated in (("time", _wall_clock), ("monotonic", _monotonic), ("clock_gettime", _monotonic)):
        setattr(time, name, _clock(getattr(time, name), simulated))
    time.sleep = _sleep(time.sleep)  # type: ignore[assignment]
    for name in ("Lock", "Event", "Thread"):
        setattr(threading, name, getattr(primitives, name))
    threading.local = primitives.Local  # type: ignore[assignment]
    concurrent.futures.ThreadPoolExecutor = primitives.ThreadPoolExecutor  # type: ignore[misc,assignment]
    os.urandom = urandom
    uuid.uuid4 = lambda: uuid.UUID(bytes=urandom(16), version=4)
    random.random = _random


def replace_datetime(packages: tuple[str, ...]) -> None:
    """Give the imported modules of these packages the simulation's `datetime`."""
    for module in _modules(packages):
        if module.__dict__.get("datetime") is _REAL_DATETIME:
            module.datetime = Datetime  # type: ignore[attr-defined]


def _modules(packages: tuple[str, ...]) -> list[ModuleType]:
    return [module for name, module in list(sys.modules.items()) if name.partition(".")[0] in packages]
