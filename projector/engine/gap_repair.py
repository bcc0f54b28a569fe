"""The events that follow an aggregate's head without a gap: as delivered, or read from the event store."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Final, Protocol

import structlog
from cachetools import LRUCache

from ledger.store.errors import CorruptHistoryError
from ledger.store.stored_event import StoredEvent
from projector.projection import Row, UnprojectableEventError

log = structlog.get_logger(__name__)

#: Events of one aggregate folded between two writes: bounds the memory that the repair of a long gap takes.
MAX_ROUND: Final = 5000


class StoredEvents(Protocol):
    """Where events are stored: the event store, or what stands before it."""

    def read(self, aggregate_id: str, *, after: int, until: int) -> Iterator[StoredEvent]:
        """The events ``after < sequence number <= until``, in order. Raises CorruptHistoryError at a bad one."""


class SharedReads:
    """The event store, for read models that are fed the same batch: what one misses, the next one misses as well.

    So each gap is read once, however many they are. Keeps gaps of MAX_ROUND events together at most. Not thread-safe.
    """

    def __init__(self, store: StoredEvents) -> None:
        self._store = store
        self._kept: LRUCache[tuple[str, int, int], list[StoredEvent]] = LRUCache(MAX_ROUND, getsizeof=len)

    def read(self, aggregate_id: str, *, after: int, until: int) -> Iterator[StoredEvent]:
        """See ``StoredEvents``. Kept is only what was whole and read to its end."""
        gap = (aggregate_id, after, until)
        if (kept := self._kept.get(gap)) is not None:
            yield from kept
            return
        found = []
        for event in self._store.read(aggregate_id, after=after, until=until):
            found.append(event)
            yield event
        if len(found) == until - after <= MAX_ROUND:
            self._kept[gap] = found

    def forget(self) -> None:
        """Read anew from here on: events are mended, and tables restored."""
        self._kept.clear()


class NextEvents(Iterable[StoredEvent]):
    """The events that follow one aggregate's head without a gap: what is missing comes from the event store.

    Reads at most MAX_ROUND of them. When the event store lacks one, iterating yields the events before it and then
    raises UnprojectableEventError.
    """

    def __init__(
        self, store: StoredEvents, aggregate_id: str, head: Row[Any] | None, delivered: Sequence[StoredEvent]
    ) -> None:
        self._failure: UnprojectableEventError | None = None
        version = head.version if head else 0
        fresh = [event for event in delivered if event.sequence_number > version]
        missing = _missing(version, fresh)
        self.gaps = 1 if missing else 0
        self.duplicates = len(delivered) - len(fresh)
        self.events: list[StoredEvent] = []
        try:
            for event in islice(_complete(store, aggregate_id, fresh, missing), MAX_ROUND):
                self.events.append(event)
        except UnprojectableEventError as error:
            self._failure = error
        last = self.events[-1].sequence_number if self.events else version
        self.finished = self._failure is not None or not fresh or last >= fresh[-1].sequence_number

    def __iter__(self) -> Iterator[StoredEvent]:
        yield from self.events
        if self._failure is not None:
            raise self._failure


def _complete(
    store: StoredEvents, aggregate_id: str, fresh: Sequence[StoredEvent], missing: tuple[int, int] | None
) -> Iterator[StoredEvent]:
    if missing is None:
        yield from fresh
        return
    first, last = missing
    log.info("gap_repaired", aggregate=aggregate_id, first=first, last=last)
    yield from (event for event in fresh if event.sequence_number < first)
    expected = first
    try:
        for event in store.read(aggregate_id, after=first - 1, until=last):
            yield event
            expected += 1
    except CorruptHistoryError as error:
        raise UnprojectableEventError(aggregate_id, expected, str(error)) from error
    if expected <= last:
        reason = (
            f"the stream shows event {fresh[-1].sequence_number}, but the event store holds none from {expected} on"
        )
        raise UnprojectableEventError(aggregate_id, fresh[-1].sequence_number, reason)
    yield from (event for event in fresh if event.sequence_number > last)


def _missing(version: int, fresh: Sequence[StoredEvent]) -> tuple[int, int] | None:
    """First and last sequence number after ``version`` that ``fresh``, in order, lacks before its own last one."""
    if not fresh or fresh[-1].sequence_number == version + len(fresh):
        return None
    first = version + 1
    for event in fresh:
        if event.sequence_number != first:
            break
        first += 1
    last = fresh[-1].sequence_number - 1
    for event in reversed(fresh[:-1]):
        if event.sequence_number != last:
            break
        last -= 1
    return first, last
