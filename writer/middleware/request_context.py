"""The outermost middleware: each request gets a correlation id, each response its headers, each failure an answer."""

import structlog
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ledger.runtime.problems import CORRELATION_HEADER, INTERNAL_ERROR, SECURITY_HEADERS, correlation_id
from ledger.runtime.request.head import RequestHead
from writer.metrics import Metrics
from writer.problems import CORRELATION_SCOPE_KEY, problem_response

log = structlog.get_logger(__name__)


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
        request_id = correlation_id(RequestHead.from_asgi(scope).field(CORRELATION_HEADER))
        scope[CORRELATION_SCOPE_KEY] = request_id
        is_head = scope["method"] == "HEAD"
        # RFC 9110, 9.3.2: HEAD is GET without the content. The server goes on seeing the request as it came.
        served = {**scope, "method": "GET"} if is_head else scope
        started = False

        async def send_with_headers(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                headers = MutableHeaders(scope=message)
                headers[CORRELATION_HEADER] = request_id
                for name, value in SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
                self._metrics.responses.labels(str(message["status"])).inc()
                if "GET" in headers.get("allow", ""):
                    headers["allow"] += ", HEAD"
            elif is_head:
                message = {**message, "body": b""}
            await send(message)

        with structlog.contextvars.bound_contextvars(correlation_id=request_id):
            try:
                await self._app(served, receive, send_with_headers)
            except Exception:
                log.exception("request_failed", method=scope["method"], path=scope["path"][:200])
                if started:
                    # The response has started and cannot be taken back: let the server cut the connection.
                    raise
                await problem_response(scope, INTERNAL_ERROR.of())(scope, receive, send_with_headers)
