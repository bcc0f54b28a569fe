"""The edge of the app: every request gets a correlation id, every response is counted and gets its security headers, no
failure passes unanswered.
"""

from typing import Final
from uuid import uuid4

import structlog
from pydantic import TypeAdapter, ValidationError
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ledger.domain.identifiers import CorrelationId
from writer.metrics import Metrics
from writer.problems import CORRELATION_SCOPE_KEY, internal_error, problem_response

log = structlog.get_logger(__name__)

CORRELATION_HEADER = "X-Correlation-ID"
#: OWASP, "REST Security Cheat Sheet": answers are data of one caller, never to be kept, framed, run or guessed at.
SECURITY_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
#: The page that shows the OpenAPI document loads scripts and styles; it shows no data.
_PAGES: Final = frozenset({"/docs", "/redoc", "/docs/oauth2-redirect"})
_CORRELATION_ID: TypeAdapter[str] = TypeAdapter(CorrelationId)


class RequestContextMiddleware:
    """ASGI middleware around everything else."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on under its correlation id; answer 500 when that raises."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        correlation_id = _correlation_id(Headers(scope=scope).get(CORRELATION_HEADER))
        scope[CORRELATION_SCOPE_KEY] = correlation_id
        started = False

        async def tell(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                headers = MutableHeaders(scope=message)
                headers[CORRELATION_HEADER] = correlation_id
                if scope["path"] not in _PAGES:
                    headers.update(SECURITY_HEADERS)
                self._metrics.responses.labels(str(message["status"])).inc()
            await send(message)

        with structlog.contextvars.bound_contextvars(correlation_id=correlation_id):
            try:
                await self._app(scope, receive, tell)
            except Exception:
                log.exception("request_failed", method=scope["method"], path=scope["path"][:200])
                if started:
                    # The answer is under way and cannot be taken back: let the server cut the connection.
                    raise
                await problem_response(scope, internal_error())(scope, receive, tell)


def _correlation_id(given: str | None) -> str:
    """The client's id when it is one; otherwise a new one, for it must not forge a log line."""
    try:
        return _CORRELATION_ID.validate_python(given)
    except ValidationError:
        return uuid4().hex
