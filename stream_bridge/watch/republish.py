"""Republishes events that the stream lost, from the events table."""

import threading
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import groupby
from typing import TYPE_CHECKING, Final

import structlog

from ledger.store.errors import CorruptHistoryError
from ledger.store.event_store import EventStore
from ledger.store.stored_event import StoredEvent
from stream_bridge.backfill.backfill import Backfill, Outcome
from stream_bridge.backfill.progress import BackfillStore
from stream_bridge.backfill.publisher import Publisher
from stream_bridge.backfill.selection import Selection
from stream_bridge.watch.reconciler import Key

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

log = structlog.get_logger(__name__)

#: Events of a gap put per second, so that they do not crowd out what is appended meanwhile.
_GAP_RATE: Final = 500


class Republisher:
    """Republishes single events, and all events of a period. Its calls block."""

    def __init__(self, dynamodb: "DynamoDBClient", table: str, publisher: Publisher, jobs: BackfillStore) -> None:
        """``table``: the events table."""
        self._dynamodb = dynamodb
        self._table = table
        self._store = EventStore(dynamodb, table)
        self._publisher = publisher
        self._jobs = jobs
        self._progress = _LoggedProgress()
        self._stopped = threading.Event()
        self._stop_filling = threading.Event()

    def put(self, keys: Sequence[Key]) -> list[Key]:
        """Republish these events; returns those that no record can carry or that the table does not hold.

        An aggregate's run of numbers costs one query. Raises TransientError or ResourceError; some may be put then.
        """
        events: list[StoredEvent] = []
        for aggregate_id, first, last in runs(keys):
            try:
                events += list(self._store.read(aggregate_id, after=first - 1, until=last))
            except CorruptHistoryError as error:
                log.warning(
                    "history_corrupt", aggregate=aggregate_id, reason=str(error), action="kinfold projector verify"
                )
        too_large = self._publisher.put(events)
        put = {key for event in events if event not in too_large for key in _keys_of(event)}
        return [key for key in keys if key not in put]

    def fill(self, gap: tuple[datetime, datetime]) -> Outcome:
        """Republish what occurred in this period; resumes what an earlier watch left of it.

        Raises JobRunningError when another watch fills it, JobLostError when one took it over, TransientError or
        ResourceError. It can be called again after each of them.
        """
        since, until = gap
        # An event of its own: a backfill that fails sets it, and neither the next one nor the watch is to stop.
        self._stop_filling = stop = threading.Event()
        if self._stopped.is_set():
            stop.set()
        work = Backfill(self._dynamodb, self._table, self._publisher, self._jobs, self._progress, stop, rate=_GAP_RATE)
        return work.run(Selection(since=since, until=until))

    @property
    def filled(self) -> int:
        """How many events the filling under way, or the last one, has read."""
        return self._progress.read

    def stop(self) -> None:
        """End the filling under way, and every later one; the next watch resumes it."""
        self._stopped.set()
        self._stop_filling.set()


def _keys_of(event: StoredEvent) -> Sequence[Key]:
    """What stands for an event: the event itself, or a change at its number that shows none."""
    return [(event.aggregate_id, event.sequence_number, found) for found in (event.event_hash, "")]


def runs(keys: Iterable[Key]) -> Iterator[tuple[str, int, int]]:
    """Group keys into runs of consecutive numbers: aggregate, first and last. Pure."""
    # Within a run, a number and its place in the sorted numbers grow alike.
    numbered = {(aggregate_id, number) for aggregate_id, number, _ in keys}
    by_run = groupby(enumerate(sorted(numbered)), lambda placed: (placed[1][0], placed[1][1] - placed[0]))
    for (aggregate_id, _), run in by_run:
        numbers = [number for _, (_, number) in run]
        yield aggregate_id, numbers[0], numbers[-1]


class _LoggedProgress:
    """Logs the progress of a backfill, and keeps it."""

    def __init__(self) -> None:
        self.read = 0

    def begin(self, work: str, phase: str, total: int, done: int) -> None:
        self.read = done
        log.info("gap_filling", work=work, phase=phase, total=total, done=done)

    def advance(self, work: str, done: int) -> None:
        self.read = done
        log.debug("gap_progress", work=work, done=done)

    def report(self, text: str) -> None:
        log.info("gap_says", text=text)
