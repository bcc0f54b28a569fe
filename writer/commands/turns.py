"""Whose turn an aggregate is: one group of requests at a time, and what comes meanwhile is the next group.

No request waits for a timer: an aggregate that nobody is at is had at once, and a group is what has come while the one
before it was carried out. The first of a group carries it out, on the thread that it came with.
"""

from collections.abc import Callable
from threading import Event, Lock

from writer.commands.requests import Waiting


class Turns:
    """Turns at aggregates, within this process. Safe to share between threads."""

    def __init__(self, carry_out: Callable[[list[Waiting]], None]) -> None:
        """``carry_out`` gives each request of a group its outcome, and raises nothing but what ends the thread."""
        self._carry_out = carry_out
        self._lock = Lock()
        #: Aggregates that somebody is at, each with those who wait for it.
        self._queues: dict[str, list[Waiting]] = {}

    def wait(self, request: Waiting) -> None:
        """Return once the request has its outcome, from this thread or from that of another one in its group."""
        key = request.request.aggregate_key
        request.error = request.group = request.woken = None
        with self._lock:
            queue = self._queues.get(key)
            if queue is None:
                self._queues[key] = []
            else:
                request.woken = woken = Event()
                queue.append(request)
        if queue is not None:
            woken.wait()
            if request.group is None:
                return
        try:
            self._carry_out(request.group or [request])
        finally:
            self._pass_on(key)

    def _pass_on(self, key: str) -> None:
        with self._lock:
            group = self._queues[key]
            if group:
                self._queues[key] = []
            else:
                del self._queues[key]
        if group:
            group[0].lead(group)
