"""The spans of applied batches: one a batch, and one an event and read model in the trace of the event's request.

A batch serves many requests, so it is in the trace of none: it is linked with those of its events (OpenTelemetry,
"Semantic conventions for messaging spans", on batches). Made once everything is durable, of what was noted meanwhile.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from opentelemetry.trace import Link, SpanContext, SpanKind, StatusCode

from faust_kinesis.records import RecordBatch
from ledger.store.stored_event import StoredEvent
from ledger.tracing.tracing import MAX_LINKS, Tracing, context_of
from projector.engine.fold import Poison
from projector.engine.projector import Projector


@dataclass(frozen=True, slots=True)
class _Applied:
    """What one projector made of a batch's events, between two moments (nanoseconds since 1970)."""

    table: str
    events: Sequence[StoredEvent]
    #: The row's version by aggregate, of those where it is known.
    versions: dict[str, int]
    poisons: dict[str, Poison]
    began: int
    ended: int


class BatchTrace:
    """Notes what one attempt to apply some batches does, and makes the spans of it."""

    def __init__(self, tracing: Tracing) -> None:
        self._tracing = tracing
        self._moment = time.time_ns()
        self._applied: list[_Applied] = []

    def note(self, projector: Projector[Any], events: Sequence[StoredEvent], poisons: Sequence[Poison]) -> None:
        """A projector is through with its events."""
        began, self._moment = self._moment, time.time_ns()
        names = {event.aggregate_id for event in events}
        known = {name: version for name in names if (version := projector.applied_version(name)) is not None}
        stopped = {poison.aggregate_id: poison for poison in poisons}
        self._applied.append(_Applied(projector.model.table, events, known, stopped, began, self._moment))

    def record(self, batches: Sequence[RecordBatch]) -> None:
        """Make the spans: the effect of the batches is durable."""
        contexts = self._contexts()
        began = min((each.began for each in self._applied), default=self._moment)
        span = self._tracing.tracer.start_span(
            "apply batch",
            kind=SpanKind.CONSUMER,
            attributes={
                "messaging.system": "aws_kinesis",
                "messaging.operation.type": "process",
                "messaging.destination.name": batches[0].stream,
                "messaging.batch.message_count": sum(len(batch.records) for batch in batches),
                "kinfold.shards": sorted({batch.shard_id for batch in batches}),
                "kinfold.tables": [each.table for each in self._applied],
            },
            links=[Link(context) for context in list(contexts.values())[:MAX_LINKS]],
            start_time=began,
        )
        for each in self._applied:
            self._record_events(each, contexts, Link(span.get_span_context()))
        span.end(self._moment)

    def _contexts(self) -> dict[str, SpanContext]:
        """The spans of the requests that are recorded, by correlation id."""
        named = dict.fromkeys(event.correlation_id for each in self._applied for event in each.events)
        contexts = ((correlation_id, self._tracing.named_by(correlation_id)) for correlation_id in named)
        return {name: context for name, context in contexts if context.trace_flags.sampled}

    def _record_events(self, applied: _Applied, contexts: dict[str, SpanContext], batch: Link) -> None:
        for event in applied.events:
            if (parent := contexts.get(event.correlation_id)) is None:
                continue
            version = applied.versions.get(event.aggregate_id)
            poison = applied.poisons.get(event.aggregate_id)
            span = self._tracing.tracer.start_span(
                "apply event",
                context_of(parent),
                SpanKind.CONSUMER,
                {
                    "db.system.name": "aws.dynamodb",
                    "db.collection.name": applied.table,
                    "kinfold.aggregate": event.aggregate_id,
                    "kinfold.sequence_number": event.sequence_number,
                    "kinfold.event_type": event.event_type,
                    "kinfold.correlation_id": event.correlation_id,
                },
                [batch],
                start_time=applied.began,
            )
            if poison is not None and event.sequence_number == poison.sequence_number:
                span.set_status(StatusCode.ERROR, "dead letter: its aggregate is halted")
            elif version is not None and version >= event.sequence_number:
                span.set_attribute("kinfold.row_version", version)
            span.end(applied.ended)
