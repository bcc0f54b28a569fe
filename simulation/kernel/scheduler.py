"""The scheduler: simulated processes whose threads run one at a time, in virtual time, in an order drawn from a seed.

A thread is a greenlet (a *fiber*), so that code which blocks deep in a call stack, botocore's for instance, can be
suspended and another fiber be resumed, or the whole process killed. Nothing here depends on the wall clock, on hashes
or on addresses: the same seed and the same code give the same order.
"""

from __future__ import annotations

from asyncio import _enter_task, _get_running_loop, _leave_task, _set_running_loop, current_task
from collections.abc import Callable
from heapq import heappop, heappush
from random import Random
from typing import Any, Final

from greenlet import getcurrent, greenlet

#: Virtual wall-clock time at which every run begins: 2026-01-01T00:00:00Z.
EPOCH: Final = 1_767_225_600.0

#: Steps that a run may take at one moment of virtual time: far more than any that comes to an end.
MAX_STEPS: Final = 200_000


class StandstillError(Exception):
    """Virtual time does not go on: something repeats itself without waiting."""


class Killed(BaseException):
    """Raised in every fiber of a process that was killed: what it does from now on has no effect."""


class Process:
    """A simulated process: its fibers die together. ``skew``: seconds by which its wall clock is ahead."""

    def __init__(self, name: str, skew: float = 0.0) -> None:
        self.name = name
        self.skew = skew
        self.alive = True
        self.paused_until = 0.0
        self.fibers: dict[Fiber, None] = {}
        #: The exception that ended one of its fibers, if any: nobody else would see it.
        self.failure: BaseException | None = None


class Fiber:
    """A thread of a process."""

    __slots__ = ("done", "greenlet", "locals", "name", "on_done", "process", "running_loop", "task", "turn", "woken")

    def __init__(self, process: Process, name: str, run: Callable[[], Any], hub: greenlet) -> None:
        self.process = process
        self.name = name
        self.done = False
        self.turn = 0
        self.woken = True  # it does not wait
        #: Of asyncio, which keeps both by thread, and takes all fibers for one.
        self.running_loop: Any = None
        self.task: Any = None
        self.locals: dict[int, dict[str, Any]] = {}
        self.on_done: list[Fiber] = []
        self.greenlet = greenlet(run, hub)


class Scheduler:
    """Runs fibers and callbacks at their virtual times."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self._draw = self.random.random
        self.now = 0.0
        self.current: Fiber | None = None
        self._hub = getcurrent()
        self._queue: list[tuple[float, float, int, Fiber | None, Any]] = []
        self._count = 0
        self._dying: list[Process] = []
        self._processes: dict[Process, None] = {}
        self._stopped = False

    # What the hub does.

    def run(self, until: float) -> None:
        """Run until virtual time ``until``, or until ``stop``. Raises StandstillError."""
        queue, steps, moment = self._queue, 0, self.now
        while queue and queue[0][0] <= until and not self._stopped:
            at, _, _, fiber, what = heappop(queue)
            if self.now != moment:
                steps, moment = 0, self.now
            steps += 1
            if steps > MAX_STEPS:
                raise StandstillError(f"{MAX_STEPS} steps at {moment:.4f} s: {fiber.process.name if fiber else what}")
            if fiber is None:
                if at > self.now:
                    self.now = at
                what()
            elif fiber.turn == what and not fiber.done:
                if fiber.process.paused_until > at:
                    self._push(fiber.process.paused_until, fiber, what)
                    continue
                if at > self.now:
                    self.now = at
                self._resume(fiber)
            while self._dying:
                self._reap(self._dying.pop())
        if not self._stopped:
            self.now = max(self.now, until)

    def reap(self) -> None:
        """Kill every process that is left."""
        for process in list(self._processes):
            process.alive = False
            self._reap(process)
        while self._dying:
            self._reap(self._dying.pop())

    def stop(self) -> None:
        """End ``run`` after the current step."""
        self._stopped = True

    def call_at(self, at: float, callback: Callable[[], Any]) -> None:
        """Have the hub call back at a virtual time. The callback must not block."""
        self._push(at, None, callback)

    def spawn(self, process: Process, run: Callable[[], Any], name: str) -> Fiber:
        """Start a fiber in a process. Its exception is kept in ``process.failure``."""
        if not process.alive:
            raise Killed

        def body() -> None:
            try:
                run()
            except Killed:
                pass
            except BaseException as error:  # noqa: BLE001 - seen by the invariants, which decide
                process.failure = process.failure or error
            finally:
                fiber.done = True
                process.fibers.pop(fiber, None)
                for waiting in fiber.on_done:
                    self.wake(waiting)

        fiber = Fiber(process, name, body, self._hub)
        self._processes[process] = None
        process.fibers[fiber] = None
        self._push(self.now, fiber, fiber.turn)
        return fiber

    def kill(self, process: Process) -> None:
        """Kill a process: none of its fibers goes on. From one of its own fibers, raises Killed there."""
        if process.alive:
            process.alive = False
            self._dying.append(process)
        if self.current is not None and self.current.process is process:
            raise Killed

    def _reap(self, process: Process) -> None:
        for fiber in list(process.fibers):
            fiber.turn += 1
            if fiber.greenlet:  # started: unwind it, so that its memory is given back
                self._resume(fiber, Killed)
            fiber.done = True
        process.fibers.clear()

    def _resume(self, fiber: Fiber, error: type[BaseException] | None = None) -> None:
        self.current = fiber
        if fiber.running_loop is not None:
            _set_running_loop(fiber.running_loop)
            if fiber.task is not None:
                _enter_task(fiber.running_loop, fiber.task)
        if error is None:
            fiber.greenlet.switch()
        else:
            fiber.greenlet.throw(error)
        self.current = None
        if _get_running_loop() is not None:
            _set_running_loop(None)

    def _push(self, at: float, fiber: Fiber | None, what: Any) -> None:
        self._count += 1
        heappush(self._queue, (at, self._draw(), self._count, fiber, what))

    # What fibers do.

    def sleep(self, seconds: float) -> None:
        """Let others run for so long."""
        self._park(seconds)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until ``wake``, or for ``timeout`` seconds. Returns whether it was woken."""
        return self._park(timeout)

    def wake(self, fiber: Fiber) -> None:
        """Let a fiber that waits go on, at the current time. One that does not wait is left alone."""
        if not fiber.woken and not fiber.done:
            fiber.woken = True
            fiber.turn += 1
            self._push(self.now, fiber, fiber.turn)

    def _park(self, timeout: float | None) -> bool:
        fiber = self.current
        if fiber is None:
            raise RuntimeError("only a simulated process may wait")
        if not fiber.process.alive:
            raise Killed
        fiber.turn += 1
        fiber.woken = False
        if timeout is not None:
            self._push(self.now + timeout if timeout > 0 else self.now, fiber, fiber.turn)
        fiber.running_loop = loop = _get_running_loop()
        fiber.task = current_task(loop) if loop is not None else None
        if loop is not None and fiber.task is not None:
            _leave_task(loop, fiber.task)
        self._hub.switch()
        if not fiber.process.alive:
            raise Killed
        woken = fiber.woken
        fiber.woken = True
        return woken
