"""Republishes events from the events table on the stream.

Harmless at any time, and idempotent: to a projector that has an event, its record is a duplicate. With it, a projection
can be replayed past Kinesis' retention, and what a streaming destination lost reaches the stream.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Final
from uuid import uuid4

import structlog

from ledger.runtime.measuring.capacity import CapacityUnits
from ledger.runtime.progress_bar import ProgressReport
from ledger.runtime.rate_limiter import RateLimiter
from ledger.store.errors import CorruptHistoryError, NoSuchAggregateError
from ledger.store.event_store import EventStore
from ledger.store.parallel_scan import Cursor, Item, RetryUntilStopped, SegmentedScan, approximate_size, read_segments
from ledger.store.resumable_job import JobHeartbeat
from ledger.store.stored_event import StoredEvent
from stream_bridge.backfill.progress import BackfillJob, BackfillStore
from stream_bridge.backfill.publisher import Publisher
from stream_bridge.backfill.selection import Selection

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

log = structlog.get_logger(__name__)

#: Events of one aggregate read together, and of any put together: as many as one PutRecords takes.
_CHUNK: Final = 500
_WORK: Final = "backfill"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a backfill did: events ``read``, those ``published``, and those that no record can carry.

    ``too_large``: over 1 MiB as a record. ``no_event``: items that no event store wrote; ``verify`` names them.
    ``ended``: False when it was stopped before its end; the next run resumes it.
    """

    read: int = 0
    published: int = 0
    too_large: int = 0
    no_event: int = 0
    ended: bool = True


class _StoppedError(Exception):
    """The backfill was stopped amid a page, which its next run reads again."""


class Backfill:
    """Republishes what a selection holds. One object runs one backfill at a time."""

    def __init__(
        self,
        dynamodb: "DynamoDBClient",
        table: str,
        publisher: Publisher,
        jobs: BackfillStore,
        progress: ProgressReport,
        stop: threading.Event,
        *,
        rate: float | None = None,
        read_rate: float | None = None,
        units: CapacityUnits | None = None,
    ) -> None:
        """``table``: the events table. ``rate``: events put a second at most, ``read_rate``: events read.

        ``stop`` ends it after the records in hand. ``units``: what the calls of ``dynamodb`` cost, to be recorded.
        """
        self._dynamodb = dynamodb
        self._table = table
        self._publisher = publisher
        self._jobs = jobs
        self._progress = progress
        self._retry = RetryUntilStopped(stop, progress.report)
        self._stop = stop
        self._units = units
        self._limits = _limits(rate, read_rate)
        self._put_limiter = RateLimiter(rate, stop)
        self._read_limiter = RateLimiter(read_rate, stop)
        self._lock = threading.Lock()
        self._outcome = Outcome()

    def run(self, selection: Selection, *, segments: int = 4, restart: bool = False) -> Outcome:
        """Put the selected events on the stream, at least once each.

        What is stored when it begins is read, and what is appended meanwhile perhaps. A scan of all aggregates that was
        interrupted (killed, too) resumes where it was when the same selection is run again, with the segments it has,
        unless ``restart``. A killed one repeats at most what it did since its last beat (ledger.store.resumable_job)
        and a page a segment.

        Raises JobRunningError when another process runs the same backfill, JobLostError when one took it over,
        NoSuchAggregateError, with nothing put, ThrottledError, EndpointError or ResourceError.
        """
        self._outcome = Outcome()
        if selection.aggregates:
            self._aggregates(selection, self._publish)
            return self._outcome
        job = self._resume_or_start(str(selection), segments, restart=restart)
        self._outcome = Outcome(published=job.published, ended=False)
        with JobHeartbeat(self._jobs, [job], self._stop) as heartbeat:

            def done(segment: int, cursor: Cursor, fresh: int) -> None:
                cost = self._units.take().get(self._table) if self._units is not None else None
                heartbeat.advance(job.name, fresh, cost, {segment: cursor}, published=self._outcome.published)

            total = self._size()
            heartbeat.begin_reading(job.name, total)
            try:
                self._scan(selection, job, total, self._publish, done)
            finally:
                if not self._outcome.ended:
                    heartbeat.save(job.name)
            if self._outcome.ended:
                self._retry(partial(heartbeat.end, job.name, self._jobs.end))
        return self._outcome

    def _resume_or_start(self, name: str, segments: int, *, restart: bool) -> BackfillJob:
        """Record the backfill as this process', and report what is kept of an interrupted one."""
        fresh = BackfillJob(name=name, token=uuid4().hex, cursors=(Cursor(),) * segments)
        found = self._retry(partial(self._jobs.read, name))
        if found is None:
            self._retry(partial(self._jobs.start, fresh))
            return fresh
        self._progress.report(f"an earlier backfill of {name} did not end; checking whether it is still running ...")
        self._retry(partial(self._jobs.check_interrupted, [found], self._stop))
        if restart:
            changes = {"cursors": fresh.cursors, "published": 0}
            job = self._retry(partial(self._jobs.take_over, found, fresh.token, **changes))
            self._progress.report(f"beginning anew; the interrupted run had read {found.read} events")
            return job
        job = self._retry(partial(self._jobs.take_over, found, fresh.token))
        self._progress.report(
            f"resuming the interrupted backfill of {name}: it keeps its segments ({len(job.cursors)}) and what is done "
            f"({job.read} events read, {job.published} put), and takes the rates of this run: {self._limits}"
        )
        return job

    def count(self, selection: Selection, *, segments: int = 4) -> Outcome:
        """Count what ``run`` would publish; puts nothing and records nothing. Raises as ``run`` does."""
        self._outcome = Outcome()
        if selection.aggregates:
            self._aggregates(selection, self._count)
        else:
            job = BackfillJob(name=str(selection), token="", cursors=(Cursor(),) * segments)
            self._scan(selection, job, self._size(), self._count, lambda *_: None)
        return self._outcome

    def _size(self) -> int:
        return self._retry(partial(approximate_size, self._dynamodb, self._table))

    def _aggregates(self, selection: Selection, handle: Callable[[list[StoredEvent]], None]) -> None:
        store = EventStore(self._dynamodb, self._table)
        versions = {each: self._retry(partial(store.version, each)).number for each in selection.aggregates}
        if missing := [each for each, version in versions.items() if not version]:
            raise NoSuchAggregateError(*missing)
        self._progress.begin(_WORK, "reading", sum(versions.values()), 0)
        with suppress(_StoppedError):
            for aggregate_id in selection.aggregates:
                for chunk in self._chunks(store, aggregate_id):
                    self._add(read=len(chunk))
                    self._retry(partial(handle, [event for event in chunk if event in selection]))
                    self._progress.advance(_WORK, self._outcome.read)
        self._outcome = replace(self._outcome, ended=not self._stop.is_set())

    def _chunks(self, store: EventStore, aggregate_id: str) -> Iterator[list[StoredEvent]]:
        after, size = 0, self._read_limiter.piece
        while True:
            self._read_limiter.take(size)
            # Whatever follows a piece that is not there is no event after a hole: the second read would say so.
            chunk = list(store.read(aggregate_id, after=after, until=after + size)) or list(
                islice(store.read(aggregate_id, after=after), 1)
            )
            if not chunk or self._stop.is_set():
                return
            after = chunk[-1].sequence_number
            yield chunk

    def _scan(
        self,
        selection: Selection,
        job: BackfillJob,
        total: int,
        handle: Callable[[list[StoredEvent]], None],
        done: Callable[[int, Cursor, int], None],
    ) -> None:
        self._progress.begin(_WORK, "reading", total, job.read)
        self._add(read=job.read)
        read = [cursor.items for cursor in job.cursors]

        def moved(segment: int, cursor: Cursor) -> None:
            fresh = cursor.items - read[segment]
            read[segment] = cursor.items
            self._add(read=fresh)
            done(segment, cursor, fresh)
            self._progress.advance(_WORK, self._outcome.read)
            self._read_limiter.take(fresh)

        page = self._read_limiter.piece if self._read_limiter.limits else None
        scan = SegmentedScan(self._dynamodb, self._table, page=page, **selection.scan_filter())
        with suppress(_StoppedError):
            read_segments(scan, job.cursors, lambda items: handle(self._events(items)), moved, self._retry)
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
        for start in range(0, len(events), self._put_limiter.piece):
            piece = events[start : start + self._put_limiter.piece]
            self._put_limiter.take(len(piece))
            if self._stop.is_set():
                raise _StoppedError
            too_large = len(self._retry(partial(self._publisher.put, piece)))
            self._add(published=len(piece) - too_large, too_large=too_large)

    def _count(self, events: list[StoredEvent]) -> None:
        self._add(published=len(events))

    def _add(self, **counts: int) -> None:
        with self._lock:
            now = self._outcome
            self._outcome = replace(now, **{name: getattr(now, name) + count for name, count in counts.items()})


def _limits(rate: float | None, read_rate: float | None) -> str:
    put = f"at most {rate:g} events put a second" if rate else "no limit to putting"
    return f"{put}, {f'at most {read_rate:g} read a second' if read_rate else 'no limit to reading'}"
