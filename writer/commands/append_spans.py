"""The spans of appends: one in the trace of each command that an append stores, linked where it stores several."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from opentelemetry.trace import Link, Span, SpanContext, SpanKind, StatusCode

from ledger.tracing.tracing import Tracing, context_of
from writer.commands.requests import CommandRequest


class AppendSpans:
    """Makes them. Safe to share between threads."""

    def __init__(self, tracing: Tracing) -> None:
        self._tracing = tracing

    @contextmanager
    def around(self, requests: Sequence[CommandRequest]) -> Iterator[None]:
        """The spans of the append that the block makes for these requests, ended in error when it raises."""
        began, failed = time.time_ns(), None
        try:
            yield
        except Exception as error:
            failed = type(error).__name__
            raise
        finally:
            self._record(requests, began, failed)

    def _record(self, requests: Sequence[CommandRequest], began: int, failed: str | None) -> None:
        ended, first = time.time_ns(), None
        traced = [(request, request.span) for request in requests if request.span is not None]
        for request, parent in traced:
            linked = [span.get_span_context() for _, span in traced if span is not parent] if first is None else [first]
            span = self._tracing.tracer.start_span(
                "append",
                context_of(parent),
                SpanKind.CLIENT,
                {
                    "db.system.name": "aws.dynamodb",
                    "kinfold.aggregate": request.aggregate_key,
                    "kinfold.command": request.command.name,
                    "kinfold.correlation_id": request.correlation_id,
                    "kinfold.commands_together": len(requests),
                },
                [Link(each) for each in (*linked, *self._elsewhere(request, parent))],
                start_time=began,
            )
            if failed is not None:
                span.set_status(StatusCode.ERROR)
                span.set_attribute("error.type", failed)
            span.end(ended)
            first = first or span.get_span_context()

    def _elsewhere(self, request: CommandRequest, parent: Span) -> list[SpanContext]:
        """The trace in which the event goes on, where the client names both a trace and a correlation id of its own."""
        named = self._tracing.named_by(request.correlation_id)
        return [named] if named.trace_id != parent.get_span_context().trace_id else []
