"""Events put on the stream again, from the events table.

Harmless whenever and however often it runs: to a projector that has an event, its record is a duplicate. With it, a
projection can be replayed past Kinesis' retention, and what a streaming destination lost reaches the stream.
"""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Final

import structlog

from ledger.runtime.progress_bar import ProgressReport
from ledger.store.errors import CorruptHistoryError
from ledger.store.event_store import EventStore
from ledger.store.parallel_scan import Cursor, Item, Patience, SegmentedScan, approximate_size, read_segments
from ledger.store.stored_event import StoredEvent
from stream_bridge.backfill.pacing import RateLimiter
from stream_bridge.backfill.progress import BackfillState, BackfillStates
from stream_bridge.backfill.publisher import Publisher
from stream_bridge.backfill.selection import Selection

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

log = structlog.get_logger(__name__)

#: Seconds between two records of how far it is.
_SAVE: Final = 2.0
#: Events of one account put together.
_CHUNK: Final = 500
_WORK: Final = "backfill"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a backfill did: events ``read``, those ``published``, and those that no record can carry.

    ``too_large``: over 1 MiB as a record. ``no_event``: items that no event store wrote; ``verify`` names them.
    ``ended``: False when it was stopped before its end, and goes on when it is run again.
    """

    read: int = 0
    published: int = 0
    too_large: int = 0
    no_event: int = 0
    ended: bool = True


class Backfill:
    """Republishes what a selection holds. One object runs one backfill at a time."""

    def __init__(
        self,
        dynamodb: "DynamoDBClient",
        table: str,
        publisher: Publisher,
        states: BackfillStates,
        progress: ProgressReport,
        stop: threading.Event,
        *,
        rate: float | None = None,
        read_rate: float | None = None,
    ) -> None:
        """``table``: the events table. ``rate``: events put a second at most, ``read_rate``: events read.

        ``stop`` ends it after the page in hand.
        """
        self._dynamodb = dynamodb
        self._table = table
        self._publisher = publisher
        self._states = states
        self._progress = progress
        self._patience = Patience(stop, progress.report)
        self._stop = stop
        self._put_limiter = RateLimiter(rate, stop)
        self._read_limiter = RateLimiter(read_rate, stop)
        self._lock = threading.Lock()
        self._outcome = Outcome()

    def run(self, selection: Selection, *, segments: int = 4, restart: bool = False) -> Outcome:
        """Put the selected events on the stream, at least once each.

        What is stored when it begins is read, and what is appended meanwhile perhaps. A scan of all accounts that was
        ended (killed, too) goes on where it was when the same selection is run again, unless ``restart``.

        Raises BackfillLostError when another process took the same backfill up, ThrottledError, EndpointError or
        ResourceError.
        """
        self._outcome = Outcome()
        if selection.accounts:
            self._accounts(selection, self._publish)
            return self._outcome
        state = self._patience(partial(self._states.take_up, str(selection), segments, restart=restart))
        if state.read:
            self._progress.report(f"going on with what an earlier run left: {state.read} events read")
        self._outcome = Outcome(published=state.published)
        with self._recorded(state) as done:
            self._scan(selection, state, self._publish, done)
        return self._outcome

    def count(self, selection: Selection, *, segments: int = 4) -> Outcome:
        """Count what ``run`` would publish; puts nothing and records nothing. Raises as ``run`` does."""
        self._outcome = Outcome()
        if selection.accounts:
            self._accounts(selection, self._count)
        else:
            state = BackfillState(str(selection), "", 0, (Cursor(),) * segments)
            self._scan(selection, state, self._count, lambda _segment, _cursor: None)
        return self._outcome

    def _accounts(self, selection: Selection, handle: Callable[[list[StoredEvent]], None]) -> None:
        store = EventStore(self._dynamodb, self._table)
        for account_id in selection.accounts:
            for chunk in self._chunks(store.read(account_id)):
                if self._stop.is_set():
                    self._outcome = replace(self._outcome, ended=False)
                    return
                self._read_limiter.take(len(chunk))
                self._add(read=len(chunk))
                self._patience(partial(handle, [event for event in chunk if event in selection]))

    def _chunks(self, events: Iterable[StoredEvent]) -> Iterator[list[StoredEvent]]:
        chunk: list[StoredEvent] = []
        for event in events:
            chunk.append(event)
            if len(chunk) == _CHUNK:
                yield chunk
                chunk = []
        if chunk:
            yield chunk

    def _scan(
        self,
        selection: Selection,
        state: BackfillState,
        handle: Callable[[list[StoredEvent]], None],
        done: Callable[[int, Cursor], None],
    ) -> None:
        total = self._patience(partial(approximate_size, self._dynamodb, self._table))
        self._progress.begin(_WORK, "reading", total, state.read)
        self._add(read=state.read)
        read = [cursor.items for cursor in state.cursors]

        def moved(segment: int, cursor: Cursor) -> None:
            fresh = cursor.items - read[segment]
            read[segment] = cursor.items
            self._add(read=fresh)
            done(segment, cursor)
            self._progress.advance(_WORK, self._outcome.read)
            self._read_limiter.take(fresh)

        scan = SegmentedScan(self._dynamodb, self._table, **selection.scan_filter())
        read_segments(scan, state.cursors, lambda items: handle(self._events(items)), moved, self._patience)
        self._outcome = replace(self._outcome, ended=not self._stop.is_set())

    def _events(self, items: list[Item]) -> list[StoredEvent]:
        events = []
        for item in items:
            try:
                events.append(StoredEvent.from_item(item))
            except CorruptHistoryError as error:
                self._add(no_event=1)
                log.warning("no_event", table=self._table, reason=str(error), action="kinfold projector verify")
        return events

    def _publish(self, events: list[StoredEvent]) -> None:
        self._put_limiter.take(len(events))
        too_large = len(self._publisher.put(events))
        self._add(published=len(events) - too_large, too_large=too_large)

    def _count(self, events: list[StoredEvent]) -> None:
        self._add(published=len(events))

    def _add(self, **counts: int) -> None:
        with self._lock:
            now = self._outcome
            self._outcome = replace(now, **{name: getattr(now, name) + count for name, count in counts.items()})

    @contextmanager
    def _recorded(self, state: BackfillState) -> Iterator[Callable[[int, Cursor], None]]:
        """Record how far it is, now and then and when the block ends, however it ends."""
        lock = threading.Lock()
        cursors, saved_at = list(state.cursors), time.monotonic()

        def now() -> BackfillState:
            return replace(state, cursors=tuple(cursors), published=self._outcome.published)

        def done(segment: int, cursor: Cursor) -> None:
            nonlocal saved_at
            with lock:
                cursors[segment] = cursor
                if time.monotonic() - saved_at >= _SAVE:
                    self._states.save(now())
                    saved_at = time.monotonic()

        try:
            yield done
        except BaseException:
            self._states.save(now())
            raise
        if self._outcome.ended:
            self._states.end(state)
        else:
            self._states.save(now())
