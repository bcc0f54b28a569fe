"""What a simulated process uses in place of threads, locks and pools; outside a simulation, harmless stand-ins.

`patches` puts them where the standard library's are, so that the code under test needs no word about simulation.
"""

from __future__ import annotations

import concurrent.futures
from collections import deque
from collections.abc import Callable
from itertools import count
from typing import Any, ClassVar

from typing_extensions import override

from simulation.kernel.scheduler import Fiber, Killed, Process, Scheduler


class World:
    """The scheduler of the run under way, if there is one."""

    scheduler: Scheduler | None = None

    @classmethod
    def fiber(cls) -> Fiber | None:
        """The fiber that is running, if any."""
        return cls.scheduler.current if cls.scheduler is not None else None


def scheduler() -> Scheduler:
    """The scheduler of the run under way. Raises RuntimeError outside one."""
    if World.scheduler is None:
        raise RuntimeError("this works in a simulation only")
    return World.scheduler


class Lock:
    """`threading.Lock` between fibers."""

    def __init__(self) -> None:
        self._held = False
        self._waiting: deque[Fiber] = deque()

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        """See `threading.Lock.acquire`."""
        if self._held and not (blocking and self._wait(None if timeout < 0 else timeout)):
            return False
        self._held = True
        return True

    def _wait(self, timeout: float | None) -> bool:
        fiber, clock = World.fiber(), scheduler()
        if fiber is None:
            raise RuntimeError("a lock of a simulated process is waited for by nobody who can wait")
        until = None if timeout is None else clock.now + timeout
        while self._held:
            left = None if until is None else until - clock.now
            if left is not None and left <= 0:
                return False
            self._waiting.append(fiber)
            clock.wait(left)
        return True

    def release(self) -> None:
        """See `threading.Lock.release`."""
        if not self._held:
            raise RuntimeError("release unlocked lock")
        self._held = False
        while self._waiting:
            fiber = self._waiting.popleft()
            if not fiber.woken and not fiber.done:
                scheduler().wake(fiber)
                return

    def locked(self) -> bool:
        """Whether it is held."""
        return self._held

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()


class Event:
    """`threading.Event` between fibers."""

    def __init__(self) -> None:
        self._set = False
        self._waiting: list[Fiber] = []

    def is_set(self) -> bool:
        """Whether it is set."""
        return self._set

    def set(self) -> None:
        """Set it, and wake whoever waits."""
        self._set = True
        waiting, self._waiting = self._waiting, []
        for fiber in waiting:
            scheduler().wake(fiber)

    def clear(self) -> None:
        """Reset it."""
        self._set = False

    def wait(self, timeout: float | None = None) -> bool:
        """See `threading.Event.wait`."""
        fiber = World.fiber()
        if not self._set and fiber is not None:
            self._waiting.append(fiber)
            scheduler().wait(timeout)
            if fiber in self._waiting:
                self._waiting.remove(fiber)
        return self._set


class Thread:
    """`threading.Thread` as a fiber of the process that starts it."""

    _names = count(1)

    def __init__(
        self,
        group: None = None,
        target: Callable[..., object] | None = None,
        name: str | None = None,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
        *,
        daemon: bool | None = None,
    ) -> None:
        self._target, self._args, self._kwargs = target, args, kwargs or {}
        self.name = name or f"thread-{next(Thread._names)}"
        self.daemon = bool(daemon)
        self._fiber: Fiber | None = None

    def run(self) -> None:
        """Call the target."""
        if self._target is not None:
            self._target(*self._args, **self._kwargs)

    def start(self) -> None:
        """Start the fiber."""
        self._fiber = scheduler().spawn(_process(), self.run, self.name)

    def join(self, timeout: float | None = None) -> None:
        """Wait until it has ended."""
        if self._fiber is not None:
            _join(self._fiber, timeout)

    def is_alive(self) -> bool:
        """Whether it was started and has not ended."""
        return self._fiber is not None and not self._fiber.done


class Local:
    """`threading.local` between fibers."""

    _numbers: ClassVar[count[int]] = count(1)
    _outside: ClassVar[dict[int, dict[str, Any]]] = {}

    def __init__(self) -> None:
        object.__setattr__(self, "_number", next(Local._numbers))

    def __getattr__(self, name: str) -> Any:
        # Written out: tenacity asks some twenty times a call.
        clock = World.scheduler
        fiber = clock.current if clock is not None else None
        try:
            return (Local._outside if fiber is None else fiber.locals)[self._number][name]
        except KeyError:
            raise AttributeError(name) from None

    def __setattr__(self, name: str, value: Any) -> None:
        fiber = World.fiber()
        values = Local._outside if fiber is None else fiber.locals
        values.setdefault(self._number, {})[name] = value


class _Unlocked:
    """In place of a future's condition: between two waits, nothing else runs."""

    def nothing(self, *_: object) -> None:
        """Neither held nor waited for."""

    acquire = release = notify_all = __enter__ = __exit__ = nothing


class Future(concurrent.futures.Future[Any]):
    """A future whose result a fiber can wait for."""

    _unlocked: ClassVar = _Unlocked()

    def __init__(self) -> None:
        # The inherited one makes a condition, at five times the cost.
        self._condition: Any = Future._unlocked
        self._state = "PENDING"
        self._result = self._exception = None
        self._waiters: list[Any] = []
        self._done_callbacks: list[Any] = []

    @override
    def result(self, timeout: float | None = None) -> Any:
        self._await(timeout)
        return super().result(0)

    @override
    def exception(self, timeout: float | None = None) -> BaseException | None:
        self._await(timeout)
        return super().exception(0)

    def _await(self, timeout: float | None) -> None:
        if self.done() or World.fiber() is None:
            return
        finished = Event()
        self.add_done_callback(lambda _: finished.set())
        finished.wait(timeout)


class ThreadPoolExecutor(concurrent.futures.Executor):
    """`concurrent.futures.ThreadPoolExecutor` whose threads are fibers of the process that submits."""

    def __init__(self, max_workers: int | None = None, thread_name_prefix: str = "", *_: object) -> None:
        self._free = max_workers or 32
        self._name = thread_name_prefix or "pool"
        self._queue: deque[tuple[Future, Callable[[], Any]]] = deque()
        self._closed = False
        self._threads: list[Fiber] = []

    @override
    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        if self._closed:
            raise RuntimeError("cannot schedule new futures after shutdown")
        future = Future()
        self._queue.append((future, lambda: fn(*args, **kwargs)))
        if self._free:
            self._free -= 1
            self._threads = [each for each in self._threads if not each.done]
            self._threads.append(scheduler().spawn(_process(), self._work, self._name))
        return future

    def _work(self) -> None:
        try:
            while self._queue:
                future, call = self._queue.popleft()
                if not future.set_running_or_notify_cancel():
                    continue
                try:
                    result = call()
                except Killed:
                    raise
                except BaseException as error:  # noqa: BLE001 - whoever asks for the result gets it
                    future.set_exception(error)
                else:
                    future.set_result(result)
        finally:
            self._free += 1

    @override
    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        self._closed = True
        if cancel_futures:
            waiting, self._queue = list(self._queue), deque()
            for future, _ in waiting:
                future.cancel()
        if wait:
            for thread in self._threads:
                _join(thread, None)


def _process() -> Process:
    fiber = World.fiber()
    if fiber is None:
        raise RuntimeError("only a simulated process has threads")
    return fiber.process


def _join(other: Fiber, timeout: float | None) -> None:
    fiber = World.fiber()
    if fiber is None or other.done:
        return
    other.on_done.append(fiber)
    scheduler().wait(timeout)
