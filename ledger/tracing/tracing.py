"""Spans, and the trace that an event belongs to. The one module that needs OpenTelemetry's SDK.

An event has seven attributes, and its trace is none of them: its correlation id carries it. One that a service makes
while it traces is the ``traceparent`` of the request's span (W3C Trace Context, 3.2), so that what is done with the
event later, by another process, is part of the same trace. A client's own id stands for the trace of its hash.
"""

import platform
from collections.abc import Sequence
from hashlib import blake2b
from importlib.metadata import version
from threading import Thread
from typing import Final

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.sampling import Decision, ParentBased, Sampler, SamplingResult, TraceIdRatioBased
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    TraceFlags,
    get_current_span,
    set_span_in_context,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.trace.span import TraceState
from opentelemetry.util.types import Attributes
from typing_extensions import override

#: Seconds that the collector has to take spans, and that a stopping service waits for it.
_PATIENCE: Final = 2
#: Spans that wait to be sent, about 1 KB each: further ones are dropped, and never wait.
_MAX_WAITING: Final = 32_768
#: Seconds between two sendings.
_SEND_INTERVAL: Final = 1
#: Links of one span: those of a larger batch are told by its events' own spans, each of which has one to it.
MAX_LINKS: Final = 128

_TRACEPARENT: Final = "traceparent"
_propagator: Final = TraceContextTextMapPropagator()


class Tracing:
    """Makes the spans of one service and sends them in the background. Safe to share between threads.

    A service never waits for its collector, and does what it does without one: what cannot be sent is lost, and a line
    of the log says so.
    """

    def __init__(self, exporter: SpanExporter, service: str, profile: str, ratio: float) -> None:
        """``ratio``: the share of traces that is recorded, where no parent decides it."""
        self._ratio = TraceIdRatioBased(ratio)
        self._exporter = exporter
        self._processor = BatchSpanProcessor(
            exporter,
            max_queue_size=_MAX_WAITING,
            schedule_delay_millis=_SEND_INTERVAL * 1000,
            max_export_batch_size=512,
            export_timeout_millis=_PATIENCE * 1000,
        )
        self._provider = TracerProvider(
            sampler=ParentBased(_LinkBased(self._ratio)),
            resource=Resource(
                {
                    "service.namespace": "kinfold",
                    "service.name": service,
                    "service.version": version("kinfold"),
                    "service.instance.id": platform.node(),
                    "deployment.environment.name": profile,
                }
            ),
            shutdown_on_exit=False,
            span_limits=SpanLimits(max_links=MAX_LINKS),
        )
        self._provider.add_span_processor(self._processor)
        self.tracer: Final = self._provider.get_tracer("kinfold", version("kinfold"))

    @classmethod
    def to_collector(cls, url: str, service: str, profile: str, ratio: float) -> "Tracing":
        """Send to a collector: OTLP over HTTP, in Protocol Buffers."""
        return cls(OTLPSpanExporter(url, headers={}, timeout=_PATIENCE), service, profile, ratio)

    def close(self) -> None:
        """Send what waits, for at most some seconds."""
        flush = Thread(target=self._processor.force_flush, name="last-spans", daemon=True)
        flush.start()
        flush.join(_PATIENCE)
        # Ends a sending that is under way, which the processor would wait for.
        self._exporter.shutdown()
        self._provider.shutdown()

    def parent(self, traceparent: str | None, tracestate: str | None, correlation_id: str | None) -> Context:
        """The parent of a request's span: the client's own, else the one its correlation id stands for, else none."""
        given = {_TRACEPARENT: traceparent or "", "tracestate": tracestate or ""}
        context = _propagator.extract(given, Context())
        if get_current_span(context).get_span_context().is_valid or correlation_id is None:
            return context
        return set_span_in_context(NonRecordingSpan(self.named_by(correlation_id)), Context())

    def named_by(self, correlation_id: str) -> SpanContext:
        """The span whose children belong to the trace of this correlation id, and whether they are recorded."""
        given = get_current_span(_propagator.extract({_TRACEPARENT: correlation_id}, Context())).get_span_context()
        if given.is_valid:
            return given
        digest = blake2b(correlation_id.encode(), digest_size=24).digest()
        trace_id, span_id = int.from_bytes(digest[:16], "big"), int.from_bytes(digest[16:], "big")
        sampled = self._ratio.should_sample(None, trace_id, "").decision is Decision.RECORD_AND_SAMPLE
        return SpanContext(trace_id, span_id, is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED * sampled))


def correlation_id_of(span: Span) -> str:
    """The correlation id of what is done within the span: its ``traceparent``."""
    carrier: dict[str, str] = {}
    _propagator.inject(carrier, set_span_in_context(span, Context()))
    return carrier[_TRACEPARENT]


def context_of(span: Span | SpanContext) -> Context:
    """The context of a span's children."""
    return set_span_in_context(NonRecordingSpan(span) if isinstance(span, SpanContext) else span, Context())


class _LinkBased(Sampler):
    """Of what has no parent: recorded where something that it is linked to is, so that no link leads nowhere."""

    def __init__(self, otherwise: Sampler) -> None:
        self._otherwise = otherwise

    @override
    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> SamplingResult:
        if any(link.context.trace_flags.sampled for link in links or ()):
            return SamplingResult(Decision.RECORD_AND_SAMPLE, attributes)
        return self._otherwise.should_sample(parent_context, trace_id, name, kind, attributes, links, trace_state)

    @override
    def get_description(self) -> str:
        return f"LinkBased({self._otherwise.get_description()})"
