"""From batches of records to durable effect: decode, apply to every read model, dead-letter the rest, complete."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import structlog
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type

from aws_client.retry import RetryPolicy
from faust_kinesis.records import Record, RecordBatch
from ledger.aggregates.aggregate_type import AggregateTypes
from ledger.errors import ResourceError, TransientError
from ledger.store.change_record import decode
from ledger.store.errors import ForeignRecordError, TableReplacedError, UnusableRecordError
from ledger.store.event_store import EventStore
from ledger.store.stored_event import StoredEvent
from ledger.store.table_identity import TableGuard, TableIdentity
from projector.dead_letters.aggregate_halts import AggregateHalts
from projector.dead_letters.letters import DeadLetter, Origin
from projector.engine.projector import Projector
from projector.ingest.projector_set import Projectors
from projector.ingest.wakeups import Wakeups
from projector.metrics import Metrics

if TYPE_CHECKING:
    from projector.ingest.batch_trace import BatchTrace

log = structlog.get_logger(__name__)

#: Aggregates whose type is remembered: the same few thousand come again and again.
_KNOWN: Final = 10_000
#: How far the clocks of Kinesis and of whoever ran a restore may be apart.
CLOCKS: Final = timedelta(minutes=5)
_NEVER: Final = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class TransientFault:
    """A transient fault that blocks the projector: its reason, and since when (monotonic seconds)."""

    reason: str
    since: float

    @property
    def seconds(self) -> float:
        """How long it has lasted."""
        return time.monotonic() - self.since


@dataclass(slots=True)
class _Decoded:
    """The events of some batches, the record that carried each, and the letters of the records that carried none."""

    events: list[StoredEvent] = field(default_factory=list)
    sources: list[tuple[RecordBatch, Record]] = field(default_factory=list)
    #: Events of records that arrived before the events table was restored, or of a former table.
    old: list[StoredEvent] = field(default_factory=list)
    letters: list[DeadLetter] = field(default_factory=list)

    def source(self, aggregate_id: str, sequence_number: int) -> tuple[Origin, bytes] | None:
        """The last record that carried an event, if any did. Looks through all: few events are ever asked for."""
        for event, (batch, record) in zip(reversed(self.events), reversed(self.sources), strict=True):
            if event.aggregate_id == aggregate_id and event.sequence_number == sequence_number:
                return _origin(batch, record), record.data
        return None


class BatchHandler:
    """Applies batches and completes them.

    A batch is completed only when the effect of all its records is durable: applied, a known duplicate, waiting in the
    event store for its halted aggregate, or stored as a dead letter.
    """

    def __init__(
        self,
        projectors: Projectors,
        aggregate_halts: AggregateHalts,
        store: EventStore,
        guard: TableGuard,
        table: str,
        aggregates: AggregateTypes,
        metrics: Metrics,
        new_trace: "Callable[[], BatchTrace] | None" = None,
    ) -> None:
        """``table``: the events table, whose change records are the only ones applied.

        ``new_trace``: made for each attempt, where batches are traced.

        ``aggregates``: those that some projection takes. Records of other ones are passed by, and counted.

        Nothing is applied while ``guard`` finds another table there. After a restore the stream still has records of
        events that are lost, and of a table that the events were in before: these are applied only if ``store`` holds
        them.
        """
        self._projectors = projectors
        self._aggregate_halts = aggregate_halts
        self._store = store
        self._guard = guard
        self._table = table
        self._fits = lru_cache(_KNOWN)(aggregates.fits)
        self._taken = frozenset(aggregates.names)
        self._metrics = metrics
        self._new_trace = new_trace
        #: What was fed when the events table was compared last.
        self._compared: set[str] = set()
        self.fault: TransientFault | None = None
        #: Readers that wait for what is applied here.
        self.wakeups = Wakeups()

    async def handle(self, batches: Sequence[RecordBatch]) -> None:
        """Make every record's effect durable, then complete the batches.

        A transient fault is retried for as long as it lasts. Raises StormError, or a permanent error of the
        endpoint (a table that is gone, say), with no batch completed: the checkpoint must not pass them.
        """
        for batch in batches:
            self._metrics.records.inc(len(batch.records))
            self._metrics.millis_behind_latest.labels(batch.shard_id).set(batch.millis_behind_latest)
        async for attempt in AsyncRetrying(
            retry=retry_if_exception_type(TransientError),
            wait=RetryPolicy(0.1, 10.0, jitter=1.0),
            before_sleep=self._hold,
        ):
            with attempt, self._metrics.batch_seconds.time():
                events = await asyncio.to_thread(self._apply, batches)
        self.fault = None
        self.wakeups.announce(events)
        for batch in batches:
            batch.complete()

    def _decode(self, batches: Sequence[RecordBatch], identity: TableIdentity | None) -> _Decoded:
        decoded = _Decoded()
        former = identity.former if identity is not None else frozenset[str]()
        old_before = identity.restored_at + CLOCKS if identity is not None and identity.restored_at else _NEVER
        for batch in batches:
            for record in batch.records:
                try:
                    event = decode(record.data, self._table, self._fits)
                except UnusableRecordError as error:
                    if isinstance(error, ForeignRecordError) and error.table in former:
                        decoded.old += self._of_former_table(record, error.table)
                        continue
                    letter = DeadLetter(
                        error.reason,
                        _origin(batch, record),
                        record.data,
                        aggregate_id=error.aggregate_id,
                        sequence_number=error.sequence_number,
                    )
                    decoded.letters.append(letter)
                else:
                    if event.aggregate_type not in self._taken:
                        self._metrics.passed_by.inc()
                        continue
                    decoded.events.append(event)
                    decoded.sources.append((batch, record))
                    if record.arrived_at < old_before:
                        decoded.old.append(event)
        return decoded

    def _apply(self, batches: Sequence[RecordBatch]) -> list[StoredEvent]:
        """Apply to every read model that is fed, including one that a rebuild adds meanwhile. Returns what was applied.

        Decoded anew at each attempt: what a record is worth is another matter once the table has been restored.
        """
        identity = self._guard.check()
        decoded = self._decode(batches, identity)
        events = self._stored(decoded)
        done: set[str] = set()
        trace = self._new_trace() if self._new_trace is not None else None
        while projectors := [each for each in self._fed(identity) if each.model.table not in done]:
            try:
                for projector in projectors:
                    taken = projector.model.projection.taken(events)
                    poisons = self._aggregate_halts.apply(projector, taken, decoded.source)
                    if trace is not None:
                        trace.note(projector, taken, poisons)
                    done.add(projector.model.table)
                for letter in decoded.letters:
                    self._aggregate_halts.store_and_halt(letter, projectors, overtaken=False)
            except ResourceError as error:
                if {each.model.table for each in projectors} <= {each.model.table for each in self._projectors.fed()}:
                    raise
                # A generation was given up meanwhile: apply the batch again without it.
                done -= {each.model.table for each in projectors}
                log.info("generation_is_gone", reason=str(error))
        if trace is not None:
            trace.record(batches)
        return events

    def _fed(self, identity: TableIdentity | None) -> list[Projector[Any]]:
        """The projectors of what is fed, for what was decoded for the table of this identity.

        A generation that was not fed before may be one that a restore builds, of a table which nobody here has noticed
        yet: so the table is compared first, and nothing is fed that was decoded for another one.

        Raises TableReplacedError, or what keeps the table from being compared.
        """
        projectors = self._projectors.fed()
        tables = {each.model.table for each in projectors}
        if not tables <= self._compared and self._guard.compare() != identity:
            raise TableReplacedError("the events table was restored while a batch was applied: it is decoded anew")
        self._compared = tables
        return projectors

    def _stored(self, decoded: _Decoded) -> list[StoredEvent]:
        """The events, without those that a restore of the table has lost."""
        old = {event.reference: event for event in decoded.old}
        lost = self._store.lost(old) if old else set()
        for event in map(old.__getitem__, lost):
            log.warning(
                "event_is_lost",
                aggregate=event.aggregate_id,
                sequence_number=event.sequence_number,
                correlation_id=event.correlation_id,
                action="none: the events table was restored to a moment before it",
            )
        return [event for event in decoded.events if event.reference not in lost] if lost else decoded.events

    def _of_former_table(self, record: Record, table: str) -> list[StoredEvent]:
        """The event of a record that another name of the events table stands in: to be looked for, never folded.

        What our table holds of the former one's events was there when everything was rebuilt.
        """
        try:
            return [decode(record.data, table, self._fits)]
        except UnusableRecordError as error:
            log.warning(
                "former_table_changed",
                table=table,
                aggregate=error.aggregate_id,
                sequence_number=error.sequence_number,
                reason=error.reason,
                action="none: nothing is derived of this table any more; disable its streaming destination",
            )
            return []

    def _hold(self, state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        self.fault = TransientFault(str(error), self.fault.since if self.fault else time.monotonic())
        self._metrics.transient_faults.inc()
        log.warning(
            "batch_held_up",
            reason=str(error),
            seconds=round(self.fault.seconds, 1),
            action="none while it passes; check the endpoint and the tables' capacity if it lasts",
        )


def _origin(batch: RecordBatch, record: Record) -> Origin:
    return Origin(batch.stream, batch.shard_id, record.sequence_number)
