"""Who may request what of the projector: a token with the route's scope for everything but ``/health``."""

import asyncio
from collections.abc import Callable, Iterable
from typing import Any, Final, cast

import faust
from aiohttp.typedefs import Middleware
from aiohttp.web import Application, Request, RequestKey, Response, StreamResponse, middleware
from faust.web.base import BlueprintManager

from ledger.runtime.auth import Access, Principal, Scope, needed_scope
from ledger.runtime.problems import body_timeout
from projector.http.responses import HEAD, Handler, complete_headers, request_context

#: Bytes of a request's body: the longest is the reason of a skip, each character of it escaped as two \uXXXX.
MAX_BODY: Final = 32 * 1024
#: Who sent a request.
PRINCIPAL: Final = RequestKey("principal", Principal)


def scope_of(read: Iterable[str]) -> Callable[[str, str], Scope]:
    """Which scope a method and a path need. What shows aggregates is at or below one of the paths ``read``."""
    lists = frozenset(f"/{path}" for path in read)
    below = tuple(f"{path}/" for path in lists)
    return lambda _method, path: Scope.READ if path in lists or path.startswith(below) else Scope.OPERATE


def guard(app: faust.App, access: Access, timeout: float, scope_of: Callable[[str, str], Scope]) -> None:
    """Make the app's web server admit no request without the scope it needs, and answer as the other services do.

    ``scope_of`` tells which scope a method and a path need. A body that takes longer than ``timeout`` seconds is
    answered with 408, and no handler sees a part of it.
    """
    app.web.blueprints = BlueprintManager()  # Faust's own pages, which nobody here has looked at
    web: Application = cast(Any, app.web).web_app
    web.middlewares.extend([request_context, _authenticate(access, scope_of), _whole_body(timeout)])
    web.on_response_prepare.append(complete_headers)


def _authenticate(access: Access, scope_of: Callable[[str, str], Scope]) -> Middleware:
    @middleware
    async def authenticate(request: Request, handler: Handler) -> StreamResponse:
        head = request[HEAD]
        head.check()
        principal = access.admit(head, needed_scope(request.method, request.path, scope_of))
        if principal is not None:
            request[PRINCIPAL] = principal
        served = request.match_info.http_exception is None
        # A redrive needs no body. A browser's form or script on another site cannot send JSON unasked.
        if served and request.method == "POST" and (request.body_exists or "Content-Type" in request.headers):
            head.require_json()
        return await handler(request)

    return authenticate


def _whole_body(timeout: float) -> Middleware:
    @middleware
    async def whole_body(request: Request, handler: Handler) -> StreamResponse:
        if request.body_exists:
            try:
                async with asyncio.timeout(timeout):
                    await request.read()
            except TimeoutError:
                raise body_timeout(timeout) from None
            except ConnectionError:
                return Response()  # to nobody: the client is gone
        return await handler(request)

    return whole_body
