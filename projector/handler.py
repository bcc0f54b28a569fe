"""From batches of records to durable effect: decode, apply, complete."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

import structlog
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_random_exponential

from faust_kinesis.records import RecordBatch
from ledger.errors import TransientError
from ledger.stored_event import StoredEvent
from projector.change_record import decode
from projector.errors import UnusableRecordError
from projector.metrics import Metrics
from projector.projector import Projector

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Fault:
    """A passing fault that holds the projector up: what it is, and since when (monotonic seconds)."""

    reason: str
    since: float

    @property
    def seconds(self) -> float:
        """How long it has lasted."""
        return time.monotonic() - self.since


class BatchHandler:
    """Applies batches and completes them. A batch is completed only when the effect of all its records is durable."""

    def __init__(self, projector: Projector, table: str, metrics: Metrics) -> None:
        """``table``: the events table, whose change records are the only ones applied."""
        self._projector = projector
        self._table = table
        self._metrics = metrics
        self.fault: Fault | None = None

    async def handle(self, batches: Sequence[RecordBatch]) -> None:
        """Make every record's effect durable, then complete the batches.

        A transient fault is tried again for as long as it lasts. Raises UnusableRecordError or
        UnprojectableEventError for what can never be applied, with the rest durable and no batch completed: the
        checkpoint must not pass it.
        """
        events, unusable = self._decode(batches)
        await self._apply(events)
        if unusable:
            raise unusable
        for batch in batches:
            batch.complete()

    def _decode(self, batches: Sequence[RecordBatch]) -> tuple[list[StoredEvent], UnusableRecordError | None]:
        events: list[StoredEvent] = []
        unusable: UnusableRecordError | None = None
        for batch in batches:
            self._metrics.records.inc(len(batch.records))
            self._metrics.millis_behind_latest.labels(batch.shard_id).set(batch.millis_behind_latest)
            for record in batch.records:
                try:
                    events.append(decode(record.data, self._table))
                except UnusableRecordError as error:
                    unusable = unusable or error.at(
                        f"stream {batch.stream}, shard {batch.shard_id}, record {record.sequence_number}"
                    )
        return events, unusable

    async def _apply(self, events: Sequence[StoredEvent]) -> None:
        async for attempt in AsyncRetrying(
            retry=retry_if_exception_type(TransientError),
            wait=wait_random_exponential(0.1, max=10),
            before_sleep=self._hold,
        ):
            with attempt, self._metrics.batch_seconds.time():
                await asyncio.to_thread(self._projector.apply, events)
        self.fault = None

    def _hold(self, state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        self.fault = Fault(str(error), self.fault.since if self.fault else time.monotonic())
        self._metrics.transient_faults.inc()
        log.warning(
            "batch_held_up",
            reason=str(error),
            seconds=round(self.fault.seconds, 1),
            action="none while it passes; check the endpoint and the table's capacity if it lasts",
        )
