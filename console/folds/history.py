"""Histories that are looked at: read once in the background, folded on as events come, and stepped through anywhere.

A history of any length is read page by page and never held. What is kept of it is the state after the last event, some
states on the way, from which every other one is a few events away, and each number of the read models over time.
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from contextvars import copy_context
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import structlog
from cachetools import LRUCache

from console.folds.series import Point, Series
from console.folds.steps import Shown, Steps
from console.shared_work import SharedWork
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
_MARKS: Final = 128
_FIRST_SPACING: Final = 256
#: Events that are folded while a page waits, at most, unless the states kept lie further apart.
_REACH: Final = 1000
#: Seconds for which what was read last counts as the present, and between two sights of a reading that takes longer.
_FRESH: Final = 1.0
_SIGHT: Final = 0.5
#: Events of a long history that are read at a stretch while a page is made, and seconds between two stretches.
_STRETCH: Final = 20
_PAUSE: Final = 0.01


@dataclass(frozen=True, slots=True)
class Sight:
    """What is known of a history at one moment; never changed.

    ``version``: up to which event it is read; ``total``: how many there were when the reading began. ``states``: what
    each fold makes of the events so far; ``numbers``: those of the read models over time, by name. ``error``: why the
    reading ended before it had them all.
    """

    version: int = 0
    total: int = 0
    states: Sequence[Shown] = ()
    numbers: Mapping[str, Sequence[Point]] = field(default_factory=dict)
    error: str | None = None

    @property
    def complete(self) -> bool:
        """Whether all that there was is read."""
        return self.error is None and self.version >= self.total > 0


class History:
    """One aggregate's history. Safe to share between threads: one reads at a time, for all who wait."""

    def __init__(
        self,
        store: EventStore,
        begin: Callable[[], Steps],
        gives_way: Callable[[], bool],
        run: Callable[[Callable[[], None]], object],
    ) -> None:
        """``begin`` makes the fold of no events; ``gives_way``: whether somebody waits for this process.

        ``run`` runs a reading in the background.
        """
        self._store = store
        self._begin = begin
        self._gives_way = gives_way
        self._reading = SharedWork(self._read, lambda: time.monotonic() - self._read_at >= _FRESH, run)
        self._read_at = 0.0
        self.sight = Sight()
        self._reset()

    def _reset(self) -> None:
        self._now = self._begin()
        self._key = self._now.aggregate.key
        # What is in the list is never changed, nor is a list that was taken from here.
        self._marks = [self._now.copy()]
        self._spacing = _FIRST_SPACING
        self._series: dict[str, Series] = {}

    def read_on(self, wait: float) -> None:
        """Read what has come since, unless that is under way or was just done; wait so many seconds at most for it.

        Nobody waits for what takes longer than a page waits, once it is seen how much there is. What the endpoint fails
        with is kept in the sight's ``error`` until the next time.
        """
        self._reading.join(wait)

    def reaches(self, version: int) -> bool:
        """Whether a step is near enough to a state that is kept; else it is once the history is read so far."""
        return version - self._nearest(version).version <= max(_REACH, 2 * self._spacing)

    def _nearest(self, version: int) -> Steps:
        return max((each for each in self._marks if each.version < version), key=lambda each: each.version)

    def step(self, version: int) -> tuple[list[Shown], StoredEvent, list[Shown]]:
        """The event ``version`` between the states before and after it.

        Raises CorruptHistoryError when there is no such event, ThrottledError and EndpointError.
        """
        steps = self._nearest(version).copy()
        before: list[Shown] = []
        parts: dict[str, set[str]] = {}
        for event in self._store.read(self._key, after=steps.version, until=version):
            if event.sequence_number == version:
                # The same parts before and after, whatever was changed last.
                parts = steps.parts_with(event)
                before = steps.shown(parts)
            steps.add(event)
        if steps.version != version or steps.last is None:
            raise CorruptHistoryError(f"{self._key} has no event {version}")
        return before, steps.last, steps.shown(parts)

    def _read(self, tell: Callable[[], object]) -> None:
        total = self.sight.total
        try:
            newest = next(iter(self._store.newest(self._key, limit=1)), None)
            if newest is not None and newest == self._now.last and self.sight.complete:
                return
            total = newest.sequence_number if newest is not None else 0
            seen_at = 0.0
            for event in self._unread(total):
                if total - self._now.version > _REACH:
                    if time.monotonic() - seen_at >= _SIGHT:
                        seen_at = time.monotonic()
                        self._see(total)
                        tell()
                    if self._now.version % _STRETCH == 0 and self._gives_way():
                        time.sleep(_PAUSE)
                self._add(event)
            self._see(max(total, self._now.version))
        except KinfoldError as error:
            log.warning("history_not_read", aggregate=self._key, reason=str(error), action="none while it passes")
            self._see(total, str(error))
        finally:
            self._read_at = time.monotonic()

    def _unread(self, total: int) -> Iterator[StoredEvent]:
        """The events after the one that was read last; where that is not stored any more, all of them anew."""
        if (last := self._now.last) is not None:
            events = self._store.read(self._key, after=last.sequence_number - 1)
            if last.sequence_number <= total and next(events, None) == last:
                yield from events
                return
            # The table was restored, and another event has its number, or none has.
            self._reset()
        yield from self._store.read(self._key)

    def _see(self, total: int, error: str | None = None) -> None:
        numbers = {name: series.seen() for name, series in self._series.items()}
        self.sight = Sight(self._now.version, total, self._now.shown(), numbers, error)

    def _add(self, event: StoredEvent) -> None:
        self._now.add(event)
        at = datetime.fromisoformat(event.occurred_at).timestamp()
        for name, value in self._now.numbers():
            if (series := self._series.get(name)) is None:
                series = self._series[name] = Series()
            series.add(at, value)
        if self._now.version - self._marks[-1].version >= self._spacing:
            marks = self._marks
            if len(marks) >= _MARKS:
                marks = marks[::2]
                self._spacing *= 2
            self._now.leave_ids()
            self._marks = [*marks, self._now.copy()]


class Histories:
    """The histories that somebody looks at. Safe to share between threads."""

    def __init__(self, components: Components, executor: Executor) -> None:
        """``executor`` runs the readings."""
        self._components = components
        self._executor = executor
        self._kept: LRUCache[str, History] = LRUCache(_KEPT)
        self._lock = threading.Lock()
        self._pages = 0

    @contextmanager
    def giving_way(self) -> Iterator[None]:
        """Have the readings of long histories take little of this process while a page is made."""
        with self._lock:
            self._pages += 1
        try:
            yield
        finally:
            with self._lock:
                self._pages -= 1

    def of(self, kind: AnyType, aggregate_id: str, *, wait: float) -> History:
        """The history of an aggregate, read on in the background; ``wait``: seconds to wait for that at most.

        Raises ThrottledError, EndpointError, ResourceError.
        """
        key = kind.key(aggregate_id)
        with self._lock:
            if (history := self._kept.get(key)) is None:
                history = self._kept[key] = History(
                    self._components.store, lambda: self._begin(kind, aggregate_id), lambda: self._pages > 0, self._run
                )
        history.read_on(wait)
        if any(each.failure for each in history.sight.states) and self._skips_have_come():
            self.forget()
            return self.of(kind, aggregate_id, wait=wait)
        return history

    def _run(self, reading: Callable[[], None]) -> None:
        # In the page's context: what is read for it counts as its own.
        self._executor.submit(copy_context().run, reading)

    def _skips_have_come(self) -> bool:
        """Whether somebody has skipped events since: what a fold fails at here may be passed over by now."""
        skips = self._components.skips
        before = len(skips)
        skips.load()
        return len(skips) > before

    def forget(self) -> None:
        """Read them anew when they are looked at next: another fold, or other skips, may count by now."""
        with self._lock:
            self._kept.clear()

    def _begin(self, kind: AnyType, aggregate_id: str) -> Steps:
        key = kind.key(aggregate_id)
        components = self._components
        taking = [each for each in components.projections if each.takes(key)]
        return Steps(kind, aggregate_id, taking, components.skips.of)
