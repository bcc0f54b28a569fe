"""The problems that the writer answers: those of the catalogue (ledger.runtime.problems) and the domain's rules."""

from typing import Final

from starlette.responses import Response
from starlette.types import Scope

from ledger.runtime import problems
from ledger.runtime.problems import MEDIA_TYPE, ProblemError, ProblemType

#: Where the request context keeps the correlation id of a request in its ASGI scope.
CORRELATION_SCOPE_KEY: Final = "kinfold.correlation_id"
#: Where the span of a request is, if it is traced.
SPAN_SCOPE_KEY: Final = "kinfold.span"


def broken_rule(rule: str, detail: str = "") -> ProblemType:
    """The type of the problem that a command breaks ``rule`` of the domain."""
    title = "A rule of the domain refuses the command"
    return ProblemType(rule, 422, title, detail, {"rule": rule})


#: What the OpenAPI document shows examples of.
PROBLEMS: Final = (
    problems.MALFORMED_REQUEST,
    problems.UNAUTHENTICATED,
    problems.MISSING_SCOPE,
    problems.CROSS_ORIGIN,
    problems.UNKNOWN_VERSION,
    problems.VERSION_CONFLICT,
    problems.PRECONDITION_FAILED,
    problems.REQUEST_TIMEOUT,
    problems.BODY_TOO_LARGE,
    problems.UNSUPPORTED_MEDIA_TYPE,
    problems.HEAD_TOO_LARGE,
    problems.INTERNAL_ERROR,
    problems.UNAVAILABLE,
    problems.TABLE_REPLACED,
    problems.UNREADABLE_HISTORY,
    problems.OVERLOADED,
    problems.NOT_READY,
    problems.AWS_REFUSES,
    problems.UNUSABLE_RESOURCE,
)


def problem_response(scope: Scope, problem: ProblemError) -> Response:
    """Render ``problem`` as the response to the request of ``scope``."""
    body = problem.render(scope.get(CORRELATION_SCOPE_KEY))
    return Response(body, problem.type.status, dict(problem.headers), media_type=MEDIA_TYPE)
