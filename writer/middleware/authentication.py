"""Authentication: who may pass, by token and scope, before anything of a request but its head is read."""

from typing import Final

import structlog
from starlette.types import ASGIApp, Receive, Scope, Send

from ledger.runtime import auth
from ledger.runtime.problems import ProblemError
from ledger.runtime.request.head import RequestHead
from writer.problems import problem_response

#: Where the caller's name is kept in the ASGI scope of a request.
CLIENT_SCOPE_KEY: Final = "kinfold.client"
_READING: Final = frozenset({"GET", "HEAD", "OPTIONS"})


def needed_scope(method: str, path: str) -> auth.Scope | None:
    """The scope that a request needs, whether or not anything is served there; None for one that needs no token."""
    return auth.needed_scope(
        method, path, lambda method, _: auth.Scope.READ if method in _READING else auth.Scope.WRITE
    )


class AuthenticationMiddleware:
    """ASGI middleware: answers 401 to strangers and 403 to those whose token does not allow the request (RFC 6750).

    What no route can take of a request's head is refused first, since the path decides which scope is needed.
    """

    def __init__(self, app: ASGIApp, access: auth.Access) -> None:
        self._app = app
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on under the caller's name, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        head = RequestHead.from_asgi(scope)
        try:
            head.check()
            principal = self._access.admit(head, needed_scope(head.method, scope["path"]))
        except ProblemError as error:
            await problem_response(scope, error)(scope, receive, send)
            return
        if principal is None:
            await self._app(scope, receive, send)
            return
        scope[CLIENT_SCOPE_KEY] = principal.name
        with structlog.contextvars.bound_contextvars(client=principal.name):
            await self._app(scope, receive, send)
