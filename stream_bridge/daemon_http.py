"""The web of the bridge's daemons: ``/health``, ``/ready`` and ``/metrics``, in a thread of its own.

A thread and an event loop apart, so that it answers whatever the daemon waits for.
"""

import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final, Protocol

import structlog
import uvicorn
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ledger.errors import EndpointError
from ledger.runtime.auth import Access, MissingScopeError, Scope, UnauthenticatedError
from ledger.runtime.sockets import address

log = structlog.get_logger(__name__)

#: Seconds for the server to begin, and for it to answer what it has accepted when it ends.
START_TIMEOUT: Final = 10.0
DRAIN_TIMEOUT: Final = 3
#: Seconds after which a client asks again.
RETRY_AFTER: Final = 1


@dataclass(frozen=True, slots=True)
class Standing:
    """One answer: ``reason`` says why the daemon is not well, None when it is; ``details`` go into the answer."""

    reason: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)


class Daemon(Protocol):
    """What the web asks a daemon. Called from a thread of the web; must not block for long."""

    registry: CollectorRegistry

    def health(self) -> Standing:
        """Whether the process can do its work; one that stays unwell is to be restarted."""

    def ready(self) -> Standing:
        """Whether it does its work just now."""

    def show(self) -> None:
        """Bring the gauges of ``registry`` up to date."""


@contextmanager
def serving(daemon: Daemon, access: Access, bound: socket.socket) -> Iterator[str]:
    """Serve on ``bound`` while the block runs; gives the URL. The socket is closed in the end.

    Raises EndpointError when the server does not begin.
    """
    config = uvicorn.Config(
        build(daemon, access),
        http="h11",
        lifespan="off",
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=DRAIN_TIMEOUT,
    )
    server = _Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]}, name="bridge-web", daemon=True)
    with bound:
        thread.start()
        try:
            if not server.begun.wait(START_TIMEOUT):
                raise EndpointError(f"the web server did not begin within {START_TIMEOUT:.0f} s")
            url = address(bound)
            log.info("serving", url=url, access="open" if access.open else "tokens")
            yield url
        finally:
            server.should_exit = True
            thread.join(START_TIMEOUT)


class _Server(uvicorn.Server):
    """Uvicorn off the main thread, where it leaves the signals alone, and telling when it has begun."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.begun = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.begun.set()


def build(daemon: Daemon, access: Access) -> Starlette:
    """The app. Every route but ``/health`` asks for a token with the scope ``operate``."""

    async def health(_: Request) -> Response:
        return _answer(daemon.health(), "ok", "held-up")

    async def ready(request: Request) -> Response:
        return _refusal(access, request) or _answer(daemon.ready(), "ready", "not-ready")

    async def metrics(request: Request) -> Response:
        refused = _refusal(access, request)
        if refused is None:
            await run_in_threadpool(daemon.show)
        return refused or Response(generate_latest(daemon.registry), media_type=CONTENT_TYPE_LATEST)

    async def other(request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else HTTPStatus.INTERNAL_SERVER_ERROR
        kind = HTTPStatus(status).phrase.lower().replace(" ", "-")
        return _refusal(access, request) or problem(status, kind, f"{request.method} {request.url.path[:200]}")

    routes = [Route("/health", health), Route("/ready", ready), Route("/metrics", metrics)]
    return Starlette(routes=routes, exception_handlers={HTTPException: other})


def problem(status: int, kind: str, detail: str, headers: Mapping[str, str] | None = None, **more: Any) -> Response:
    """An error as problem details (RFC 9457)."""
    body = {"type": f"urn:kinfold:problem:{kind}", "title": kind.replace("-", " "), "status": status, "detail": detail}
    return JSONResponse(body | more, status, headers, media_type="application/problem+json")


def _answer(standing: Standing, well: str, unwell: str) -> Response:
    if standing.reason is None:
        return JSONResponse({"status": well, **standing.details})
    headers = {"Retry-After": str(RETRY_AFTER)}
    return problem(HTTPStatus.SERVICE_UNAVAILABLE, unwell, standing.reason, headers, **standing.details)


def _refusal(access: Access, request: Request) -> Response | None:
    try:
        access.verify(request.headers.get("Authorization")).require(Scope.OPERATE)
    except UnauthenticatedError as error:
        return problem(HTTPStatus.UNAUTHORIZED, "unauthenticated", str(error), {"WWW-Authenticate": "Bearer"})
    except MissingScopeError as error:
        return problem(HTTPStatus.FORBIDDEN, "missing-scope", str(error))
    return None
