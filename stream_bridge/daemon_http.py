"""The HTTP server of the bridge's daemons: ``/health``, ``/ready``, ``/metrics``, and what describes them.

It has a thread and an event loop of its own, so that it answers whatever the daemon waits for.
"""

import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache, partial
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
from ledger.runtime.openapi.docs_page import DOCUMENT_PATH, File, docs_files
from ledger.runtime.openapi.document import OPERATIONS, Operation, document
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
from ledger.runtime.serving.docs_response import docs_response
from ledger.runtime.serving.listener import Limits
from ledger.runtime.sockets import address, listen
from ledger.store.table_identity import TableGuard

log = structlog.get_logger(__name__)

#: Seconds for the server to start, and to finish the requests it has accepted when it stops.
START_TIMEOUT: Final = 10.0
DRAIN_TIMEOUT: Final = 3


_TITLE: Final = "Kinfold bridge"
_STATUS: Final = {"type": "object", "properties": {"status": {"type": "string"}}, "required": ["status"]}
#: What the server serves beside this description of it: what is said of each route, and what it answers.
_OPERATIONS: Final = {
    "/health": (
        "Is the daemon making progress?\n503 once it has made none for a while: it should be restarted.",
        Operation(tag=OPERATIONS, answer=_STATUS, problems=(HELD_UP,)),
    ),
    "/ready": (
        "Does the daemon do its work right now?\nThe answer says more of it, in members that differ between daemons.",
        Operation(tag=OPERATIONS, answer=_STATUS, problems=(NOT_READY,)),
    ),
    "/metrics": (
        "Prometheus metrics",
        Operation(tag=OPERATIONS, answer={"type": "string"}, media_type="text/plain"),
    ),
}


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
    """The app. What shows how the daemon is, ``/health`` apart, needs a token with the scope ``operate``."""
    guard.expose(daemon.registry)

    async def health(_: Request) -> Response:
        return _answer(daemon.health(), "ok", HELD_UP)

    async def ready(_: Request) -> Response:
        report = daemon.ready()
        return _answer(HealthReport(guard.reason or report.reason, report.details), "ready", NOT_READY)

    async def metrics(_: Request) -> Response:
        await run_in_threadpool(daemon.show)
        return Response(generate_latest(daemon.registry), media_type=CONTENT_TYPE_LATEST)

    async def show_document(_: Request) -> Response:
        return JSONResponse(_document())

    async def in_context(request: Request, call_next: RequestResponseEndpoint) -> Response:
        head = RequestHead.from_asgi(request.scope)
        request.state.correlation_id = request_id = correlation_id(head.field(CORRELATION_HEADER))
        with structlog.contextvars.bound_contextvars(correlation_id=request_id):
            try:
                head.check()
                access.admit(head, _needed_scope(head.method, request.url.path))
                head.check_taken(Taken())
                response = await call_next(request)
            except ProblemError as error:
                response = _problem_response(request, error)
            except Exception:
                log.exception("request_failed", method=request.method, path=request.url.path[:200])
                response = _problem_response(request, INTERNAL_ERROR.of())
        response.headers[CORRELATION_HEADER] = request_id
        for name, value in SECURITY_HEADERS.items():
            response.headers.setdefault(name, value)
        return response

    async def not_served(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return _problem_response(request, of_status(error.status_code, request.method, error.headers))

    return Starlette(
        routes=[
            *(Route(path, {"/health": health, "/ready": ready, "/metrics": metrics}[path]) for path in _OPERATIONS),
            Route(DOCUMENT_PATH, show_document),
            *(Route(path, partial(_docs, file)) for path, file in docs_files(_TITLE).items()),
        ],
        middleware=[Middleware(BaseHTTPMiddleware, dispatch=in_context)],
        exception_handlers={HTTPException: not_served},
    )


def _needed_scope(method: str, path: str) -> Scope | None:
    return needed_scope(method, path, lambda *_: Scope.OPERATE)


@cache
def _document() -> dict[str, Any]:
    operations = {("GET", path): each for path, each in _OPERATIONS.items()}
    about = "How the daemon is. Every error is a problem (RFC 9457)."
    return document(_TITLE, about, operations, _needed_scope)


async def _docs(file: File, _: Request) -> Response:
    return docs_response(file)


def _answer(report: HealthReport, well: str, unwell: ProblemType) -> Response:
    if report.reason is not None:
        raise unwell.of(report.reason, **report.details)
    return JSONResponse({"status": well, **report.details})


def _problem_response(request: Request, problem: ProblemError) -> Response:
    body = problem.render(request.state.correlation_id)
    return Response(body, problem.type.status, dict(problem.headers), media_type=MEDIA_TYPE)
