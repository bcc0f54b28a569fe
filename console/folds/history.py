"""Histories that are looked at: read once in the background, folded on as events come, and stepped through anywhere.

A history of any length is read page by page and never held. What is kept of it is the state after the last event, some
states on the way, from which every other one is a few events away, and each number of the read models over time.
"""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Executor
from datetime import datetime
from itertools import islice
from typing import Final

import structlog
from cachetools import LRUCache

from console.folds.series import Series
from console.folds.steps import Shown, Steps
from ledger.aggregates.aggregate_type import AnyType
from ledger.errors import KinfoldError
from ledger.store.errors import CorruptHistoryError
from ledger.store.event_store import EventStore
from ledger.store.stored_event import StoredEvent
from projector.components import Components

log = structlog.get_logger(__name__)

#: Histories kept at most; the one looked at longest ago gives way.
_KEPT: Final = 32
#: States kept on the way, at most; with more events they lie further apart.
_MARKS: Final = 64
_FIRST_SPACING: Final = 256
#: Events that are folded before somebody who looks has to wait no longer.
_CHUNK: Final = 100
#: Seconds for which what was read last counts as the present.
_FRESH: Final = 1.0


class History:
    """One aggregate's history. Safe to share between threads: one reads at a time, any number look."""

    def __init__(self, store: EventStore, begin: Callable[[], Steps]) -> None:
        """``begin`` makes the fold of no events."""
        self._store = store
        self._begin = begin
        self._lock = threading.Lock()
        self._reading = threading.Lock()
        self._read_at = 0.0
        #: How many events there were when the last reading began, and why it ended before it had them all.
        self.total = 0
        self.error: str | None = None
        self._reset()

    def _reset(self) -> None:
        self._now = self._begin()
        self._marks = [self._now.copy()]
        self._spacing = _FIRST_SPACING
        self._series: dict[str, Series] = {}

    @property
    def version(self) -> int:
        """Up to which event it is read."""
        return self._now.version

    @property
    def complete(self) -> bool:
        """Whether all that there was is read."""
        return self.error is None and self.version >= self.total > 0

    def latest(self) -> list[Shown]:
        """What each fold makes of the events read so far."""
        with self._lock:
            return self._now.shown()

    def series(self) -> dict[str, Series]:
        """The numbers of the read models over time, by name."""
        with self._lock:
            return dict(self._series)

    def read_on(self) -> None:
        """Read what has come since. Returns at once where somebody else is at it, or has just been.

        What the endpoint fails with is kept in ``error`` until the next time.
        """
        if not self._reading.acquire(blocking=False):
            return
        try:
            if time.monotonic() - self._read_at >= _FRESH:
                self._read()
                self._read_at = time.monotonic()
        finally:
            self._reading.release()

    def step(self, version: int) -> tuple[list[Shown], StoredEvent, list[Shown]]:
        """The event ``version`` between the states before and after it.

        Raises CorruptHistoryError when there is no such event, ThrottledError and EndpointError.
        """
        with self._lock:
            mark = max((each for each in self._marks if each.version < version), key=lambda each: each.version)
            steps = mark.copy()
        before: list[Shown] = steps.shown()
        for event in self._store.read(self._now.aggregate.key, after=steps.version, until=version):
            if event.sequence_number == version:
                before = steps.shown()
            steps.add(event)
        if steps.version != version or steps.last is None:
            raise CorruptHistoryError(f"{self._now.aggregate.key} has no event {version}")
        return before, steps.last, steps.shown()

    def _read(self) -> None:
        key = self._now.aggregate.key
        try:
            self.error = None
            self.total = self._store.version(key).number
            if self._now.last is not None and not self._store.holds(self._now.last.reference):
                # The table was restored, and another event has its number, or none has.
                with self._lock:
                    self._reset()
            events = self._store.read(key, after=self.version)
            while chunk := list(islice(events, _CHUNK)):
                with self._lock:
                    for event in chunk:
                        self._add(event)
            self.total = max(self.total, self.version)
        except KinfoldError as error:
            self.error = str(error)
            log.warning("history_not_read", aggregate=key, reason=str(error), action="none while it passes")

    def _add(self, event: StoredEvent) -> None:
        self._now.add(event)
        at = datetime.fromisoformat(event.occurred_at).timestamp()
        for name, value in self._now.numbers():
            self._series.setdefault(name, Series()).add(at, value)
        if self._now.version - self._marks[-1].version >= self._spacing:
            if len(self._marks) == _MARKS:
                self._marks = self._marks[::2]
                self._spacing *= 2
            self._now.leave_ids()
            self._marks.append(self._now.copy())


class Histories:
    """The histories that somebody looks at. Safe to share between threads."""

    def __init__(self, components: Components, executor: Executor) -> None:
        """``executor`` runs the readings."""
        self._components = components
        self._executor = executor
        self._kept: LRUCache[str, History] = LRUCache(_KEPT)
        self._lock = threading.Lock()

    def of(self, kind: AnyType, aggregate_id: str, *, wait: float) -> History:
        """The history of an aggregate, read on in the background; ``wait``: seconds to wait for that at most."""
        key = kind.key(aggregate_id)
        with self._lock:
            if (history := self._kept.get(key)) is None:
                history = self._kept[key] = History(self._components.store, lambda: self._begin(kind, aggregate_id))
        done = threading.Event()

        def read() -> None:
            history.read_on()
            done.set()

        self._executor.submit(read)
        done.wait(wait)
        return history

    def _begin(self, kind: AnyType, aggregate_id: str) -> Steps:
        key = kind.key(aggregate_id)
        components = self._components
        taking = [each for each in components.projections if each.takes(key)]
        return Steps(kind, aggregate_id, taking, components.skips.of)

    def forget(self) -> None:
        """Read them anew when they are looked at next: another fold, or other skips, may count by now."""
        with self._lock:
            self._kept.clear()
