"""A span for each request of a resource. Outermost: the correlation id of a request that brings none is this span's."""

from collections.abc import Sequence
from typing import Final

from opentelemetry.trace import Span, SpanKind, StatusCode
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ledger.runtime.problems import CORRELATION_HEADER, is_correlation_id
from ledger.runtime.request.head import RequestHead
from ledger.tracing.tracing import Tracing, correlation_id_of
from writer.problems import SPAN_SCOPE_KEY

_FIELD: Final = CORRELATION_HEADER.lower().encode()


class TracingMiddleware:
    """ASGI middleware. Attributes are those of OpenTelemetry's semantic conventions for HTTP servers."""

    def __init__(self, app: ASGIApp, tracing: Tracing, traced: Sequence[str]) -> None:
        """``traced``: how the paths begin that are traced; probes and what is scraped are not."""
        self._app = app
        self._tracing = tracing
        self._traced = tuple(traced)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on within its span, the child of the client's where it sent a ``traceparent``."""
        if scope["type"] != "http" or not scope["path"].startswith(self._traced):
            await self._app(scope, receive, send)
            return
        head = RequestHead.from_asgi(scope)
        named = head.field(CORRELATION_HEADER)
        given = named if is_correlation_id(named) else None
        with self._tracing.tracer.start_as_current_span(
            head.method,
            self._tracing.parent(head.field("traceparent"), head.field("tracestate"), given),
            SpanKind.SERVER,
            {"http.request.method": head.method, "url.scheme": scope["scheme"]},
            # A message can hold what a client sent.
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            await self._app(
                _named(scope, given or correlation_id_of(span), span), receive, _observed(send, scope, span)
            )


def _named(scope: Scope, correlation_id: str, span: Span) -> Scope:
    """The scope as everything within sees it. Changed in place: the router leaves its route there."""
    others = [line for line in scope["headers"] if line[0].lower() != _FIELD]
    scope["headers"] = [*others, (_FIELD, correlation_id.encode())]
    scope[SPAN_SCOPE_KEY] = span
    return scope


def _observed(send: Send, scope: Scope, span: Span) -> Send:
    async def observed(message: Message) -> None:
        if message["type"] == "http.response.start":
            status = message["status"]
            span.set_attribute("http.response.status_code", status)
            if (route := scope.get("route")) is not None:
                span.set_attribute("http.route", route.path)
                span.update_name(f"{scope['method']} {route.path}")
            if status >= 500:
                span.set_status(StatusCode.ERROR)
                span.set_attribute("error.type", str(status))
        await send(message)

    return observed
