"""Who may ask the projector what: a bearer token's scope for every route but ``/health``; errors as problem details."""

from collections.abc import Awaitable, Callable
from typing import Final

import structlog
from aiohttp.typedefs import Middleware
from aiohttp.web import HTTPException, Request, StreamResponse, middleware

from ledger.errors import TransientError
from ledger.runtime.auth import Access, MissingScopeError, Principal, Scope, UnauthenticatedError
from projector.http.responses import problem
from projector.projections import PROJECTIONS

log = structlog.get_logger(__name__)

#: Bytes of a request's body: the longest is the reason of a skip, each character of it escaped as two \uXXXX.
MAX_BODY: Final = 32 * 1024

#: The one route that tells nothing and asks for nothing: a health check has no token.
OPEN: Final = frozenset({"/health"})
#: What shows an account, or a day of one, is read; everything else is the operator's.
READ: Final = tuple(f"/{projection.path}/" for projection in PROJECTIONS)


def caller(access: Access, request: Request) -> Principal:
    """Who sends the request. Raises UnauthenticatedError."""
    return access.verify(request.headers.get("Authorization"))


def guard(access: Access) -> Middleware:
    """A middleware that lets a request through when its token has the route's scope."""

    @middleware
    async def check(request: Request, handler: Callable[[Request], Awaitable[StreamResponse]]) -> StreamResponse:
        try:
            if request.path not in OPEN:
                caller(access, request).require(_scope(request.path))
            return await handler(request)
        except UnauthenticatedError as error:
            answer = problem(401, "unauthenticated", str(error))
            answer.headers["WWW-Authenticate"] = "Bearer"
            return answer
        except MissingScopeError as error:
            return problem(403, "missing-scope", str(error))
        except TransientError as error:
            return problem(503, "endpoint-unavailable", str(error), retry_after=1)
        except HTTPException as error:
            return problem(error.status, error.reason.lower().replace(" ", "-"), error.reason)
        except Exception:
            log.exception("request_failed", path=request.path, action="report it with these lines")
            return problem(500, "internal-error", "the projector failed at this request; its log says more")

    return check


def _scope(path: str) -> Scope:
    return Scope.READ if path.startswith(READ) else Scope.OPERATE
