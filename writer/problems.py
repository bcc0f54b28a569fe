"""The problems that the writer answers: those of the catalogue (ledger.runtime.problems) and the domain's rules."""

from typing import Final

from starlette.responses import Response
from starlette.types import Scope

from ledger.runtime import problems
from ledger.runtime.problems import MEDIA_TYPE, ProblemError, ProblemType

#: Where the request context keeps the correlation id of a request in its ASGI scope.
CORRELATION_SCOPE_KEY: Final = "kinfold.correlation_id"


def broken_rule(rule: str, detail: str = "") -> ProblemType:
    """The type of the problem that a command breaks ``rule`` of the domain."""
    title = "The command breaks a rule of the account"
    return ProblemType(rule, 422, title, detail, {"rule": rule})


#: What the OpenAPI document shows examples of.
PROBLEMS: Final = (
    problems.MALFORMED_REQUEST,
    problems.UNAUTHENTICATED,
    problems.MISSING_SCOPE,
    problems.CROSS_ORIGIN,
    problems.UNKNOWN_ACCOUNT,
    problems.UNKNOWN_VERSION,
    problems.VERSION_CONFLICT,
    problems.PRECONDITION_FAILED,
    problems.REQUEST_TIMEOUT,
    problems.BODY_TOO_LARGE,
    problems.UNSUPPORTED_MEDIA_TYPE,
    broken_rule("invalid-amount", "account alice: 0.00 is not a positive amount"),
    broken_rule("currency-mismatch", "account alice is held in EUR; USD cannot be booked on it"),
    broken_rule("insufficient-funds", "account alice holds 10.00; 12.50 cannot be taken from it"),
    broken_rule("bet-already-placed", "account alice: bet derby was already placed"),
    broken_rule("unknown-bet", "account alice: no bet derby was placed"),
    broken_rule("bet-already-settled", "account alice: bet derby was already settled"),
    problems.IDEMPOTENCY_KEY_REUSED,
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
