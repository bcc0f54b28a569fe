"""The HTTP server of the bridge's daemons: ``/health``, ``/ready`` and ``/metrics``.

It has a thread and an event loop of its own, so that it answers whatever the daemon waits for.
"""

import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import structlog
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ledger.errors import EndpointError
from ledger.runtime.auth import Access, Scope, needed_scope
from ledger.runtime.problems import (
    CORRELATION_HEADER,
    HELD_UP,
    INTERNAL_ERROR,
    MEDIA_TYPE,
    NOT_READY,
    SECURITY_HEADERS,
    ProblemError,
    ProblemType,
    correlation_id,
    of_status,
)
from ledger.runtime.request.head import RequestHead, Taken
from ledger.runtime.serving.asgi_server import AsgiServer
from ledger.runtime.serving.listener import Limits
from ledger.runtime.sockets import address, listen
from ledger.store.table_identity import TableGuard

log = structlog.get_logger(__name__)

#: Seconds for the server to start, and to finish the requests it has accepted when it stops.
START_TIMEOUT: Final = 10.0
DRAIN_TIMEOUT: Final = 3


@dataclass(frozen=True, slots=True)
class HealthReport:
    """``reason`` says why the daemon is not well, None when it is; ``details`` extend the response's body."""

    reason: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)


class Daemon(Protocol):
    """What the server needs of a daemon. Called from a thread of the server; must not block for long."""

    registry: CollectorRegistry

    def health(self) -> HealthReport:
        """Liveness: a process that stays unhealthy should be restarted."""

    def ready(self) -> HealthReport:
        """Readiness: whether it does its work right now."""

    def show(self) -> None:
        """Bring the gauges of ``registry`` up to date."""


@contextmanager
def serving(daemon: Daemon, access: Access, bound: socket.socket, limits: Limits, guard: TableGuard) -> Iterator[str]:
    """Serve on ``bound`` while the block runs; yields the URL and closes the socket at the end.

    Not ready while ``guard`` finds another events table there.

    Raises ConfigurationError when another process has begun to listen there, EndpointError when the server does not
    start.
    """
    started = threading.Event()
    server = AsgiServer(
        build(daemon, access, guard), limits, lifespan="off", drain_timeout=DRAIN_TIMEOUT, on_start=started.set
    )
    thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]}, name="bridge-web", daemon=True)
    with bound:
        listen(bound)
        thread.start()
        try:
            if not started.wait(START_TIMEOUT):
                raise EndpointError(f"the web server did not start within {START_TIMEOUT:.0f} s")
            url = address(bound)
            log.info("serving", url=url, access="open" if access.open else "tokens")
            yield url
        finally:
            server.should_exit = True
            thread.join(START_TIMEOUT)


def build(daemon: Daemon, access: Access, guard: TableGuard) -> Starlette:
    """The app. Every route but ``/health`` needs a token with the scope ``operate``."""
    guard.expose(daemon.registry)

    async def health(_: Request) -> Response:
        return _answer(daemon.health(), "ok", HELD_UP)

    async def ready(_: Request) -> Response:
        report = daemon.ready()
        return _answer(HealthReport(guard.reason or report.reason, report.details), "ready", NOT_READY)

    async def metrics(_: Request) -> Response:
        await run_in_threadpool(daemon.show)
        return Response(generate_latest(daemon.registry), media_type=CONTENT_TYPE_LATEST)

    async def in_context(request: Request, call_next: RequestResponseEndpoint) -> Response:
        head = RequestHead.from_asgi(request.scope)
        request.state.correlation_id = request_id = correlation_id(head.field(CORRELATION_HEADER))
        with structlog.contextvars.bound_contextvars(correlation_id=request_id):
            try:
                head.check()
                access.admit(head, needed_scope(head.method, request.url.path, lambda *_: Scope.OPERATE))
                head.check_taken(Taken())
                response = await call_next(request)
            except ProblemError as error:
                response = _problem_response(request, error)
            except Exception:
                log.exception("request_failed", method=request.method, path=request.url.path[:200])
                response = _problem_response(request, INTERNAL_ERROR.of())
        response.headers.update({CORRELATION_HEADER: request_id, **SECURITY_HEADERS})
        return response

    async def not_served(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return _problem_response(request, of_status(error.status_code, request.method, error.headers))

    return Starlette(
        routes=[Route("/health", health), Route("/ready", ready), Route("/metrics", metrics)],
        middleware=[Middleware(BaseHTTPMiddleware, dispatch=in_context)],
        exception_handlers={HTTPException: not_served},
    )


def _answer(report: HealthReport, well: str, unwell: ProblemType) -> Response:
    if report.reason is not None:
        raise unwell.of(report.reason, **report.details)
    return JSONResponse({"status": well, **report.details})


def _problem_response(request: Request, problem: ProblemError) -> Response:
    body = problem.render(request.state.correlation_id)
    return Response(body, problem.type.status, dict(problem.headers), media_type=MEDIA_TYPE)
