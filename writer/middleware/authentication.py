"""The gate: who may pass, by token and scope, before anything of a request but its head is read."""

from http import HTTPStatus
from typing import Final

import structlog
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from ledger.runtime.auth import Access, MissingScopeError, UnauthenticatedError
from ledger.runtime.auth import Scope as AccessScope
from writer.problems import problem, problem_response

log = structlog.get_logger(__name__)

#: Where the gate leaves the name of the caller in the ASGI scope of a request.
CLIENT_SCOPE_KEY: Final = "kinfold.client"
#: What anybody may ask: a load balancer's probe has no token, and the answer tells nothing.
OPEN_PATHS: Final = frozenset({"/health"})
_OPERATIONS: Final = frozenset({"/ready", "/metrics"})
_READING: Final = frozenset({"GET", "HEAD", "OPTIONS"})


def needed_scope(method: str, path: str) -> AccessScope | None:
    """The scope that a request needs, whether or not anything is served there; None for one that needs no token."""
    if path in OPEN_PATHS:
        return None
    if path in _OPERATIONS:
        return AccessScope.OPERATE
    return AccessScope.READ if method in _READING else AccessScope.WRITE


class AuthenticationMiddleware:
    """ASGI middleware: answers 401 to strangers and 403 to those whose token does not allow the request (RFC 6750)."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app = app
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on under the caller's name, or refuse it."""
        needed = needed_scope(scope["method"], scope["path"]) if scope["type"] == "http" else None
        if needed is None:
            await self._app(scope, receive, send)
            return
        try:
            principal = self._access.verify(Headers(scope=scope).get("authorization"))
            principal.require(needed)
        except UnauthenticatedError as error:
            found = problem("unauthenticated", HTTPStatus.UNAUTHORIZED, f"{error}.", title="Who are you?")
            headers = {"WWW-Authenticate": 'Bearer realm="kinfold"'}
        except MissingScopeError as error:
            log.warning("scope_missing", client=principal.name, scope=error.scope)
            found = problem("scope-missing", HTTPStatus.FORBIDDEN, f"{error}.", title="The token does not allow this")
            headers = {"WWW-Authenticate": f'Bearer realm="kinfold", error="insufficient_scope", scope="{error.scope}"'}
        else:
            scope[CLIENT_SCOPE_KEY] = principal.name
            with structlog.contextvars.bound_contextvars(client=principal.name):
                await self._app(scope, receive, send)
            return
        await problem_response(scope, found, headers)(scope, receive, send)
