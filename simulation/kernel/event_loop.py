"""An asyncio event loop in virtual time: each simulated process has its own."""

from __future__ import annotations

import asyncio
import threading
from asyncio import _set_running_loop
from collections.abc import Coroutine
from itertools import count
from typing import Any, Final, TypeVar

from typing_extensions import override

from simulation.kernel.primitives import ThreadPoolExecutor, scheduler
from simulation.kernel.scheduler import Fiber, Scheduler

T = TypeVar("T")
#: Rounds of a busy loop after which others get a turn, so that one that spins does not stop the world.
_BUSY: Final = 64


class _Numbered:
    """Hashes to a number, so that sets have the same order in every run."""

    _numbers = count(1)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._number = next(_Numbered._numbers)
        super().__init__(*args, **kwargs)

    @override
    def __hash__(self) -> int:
        return self._number


class Task(_Numbered, asyncio.Task[Any]):
    """A task that hashes to a number."""


class Future(_Numbered, asyncio.Future[Any]):
    """A future that hashes to a number."""


#: Without types: what a loop of one's own overrides is no part of asyncio's public interface.
_Base: Any = asyncio.BaseEventLoop


class EventLoop(_Base):  # type: ignore[misc]
    """Waits by the scheduler; has no sockets, no signals and no subprocesses."""

    def __init__(self, clock: Scheduler, fiber: Fiber) -> None:
        super().__init__()
        self._clock = clock
        self._fiber = fiber
        self._clock_resolution = 1e-9
        self._selector = self
        self._stopping: bool = False
        self._thread_id: int | None = None
        self._busy = 0
        self._default_executor = ThreadPoolExecutor(thread_name_prefix="asyncio")
        self.set_task_factory(lambda loop, coro, **options: Task(coro, loop=loop, **options))

    def __del__(self) -> None:
        """A process that was killed leaves its loop open."""

    @override
    def time(self) -> float:
        return self._clock.now

    @override
    def create_future(self) -> asyncio.Future[Any]:
        return Future(loop=self)

    def select(self, timeout: float | None) -> list[Any]:
        """Wait until the loop is woken or the next timer is due; a loop that is busy lets others run now and then."""
        self._busy += 1
        if timeout != 0 or self._busy % _BUSY == 0:
            self._clock.wait(timeout)
        return []

    def _process_events(self, event_list: list[Any]) -> None:
        pass

    def _write_to_self(self) -> None:
        self._clock.wake(self._fiber)

    @override
    def run_forever(self) -> None:
        self._check_closed()
        self._check_running()
        self._thread_id = threading.get_ident()
        _set_running_loop(self)
        try:
            while True:
                self._run_once()
                if self._stopping:
                    break
        finally:
            self._stopping = False
            self._thread_id = None
            _set_running_loop(None)


def run(main: Coroutine[Any, Any, T]) -> T:
    """`asyncio.run` in a simulated process."""
    clock = scheduler()
    assert clock.current is not None
    loop = EventLoop(clock, clock.current)
    result: T = loop.run_until_complete(main)
    return result
