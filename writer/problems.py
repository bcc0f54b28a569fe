"""Problem details (RFC 9457): the one shape of every error that the writer answers."""

from http import HTTPStatus
from typing import Final

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import Scope

MEDIA_TYPE: Final = "application/problem+json"
TYPE_PREFIX: Final = "urn:kinfold:problem:"
#: Seconds after which a client that met a transient failure may try again.
RETRY_AFTER: Final = 1
#: Where the boundary leaves the correlation id of a request in its ASGI scope.
CORRELATION_SCOPE_KEY: Final = "kinfold.correlation_id"


class FieldFault(BaseModel):
    """What is wrong with one field of a request."""

    field: str = Field(examples=["amount"])
    message: str = Field(
        examples=['an amount has one to twelve digits and at most two decimal places, such as "12.50"']
    )


class Problem(BaseModel):
    """One problem: what is wrong and what to do about it. Fields that do not apply are absent."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True)

    type: str = Field(examples=[TYPE_PREFIX + "insufficient-funds"], description="stable; a program decides by it")
    title: str = Field(examples=["The command breaks a rule of the account"])
    status: int = Field(examples=[422])
    detail: str = Field(examples=["account alice holds 10.00; 12.50 cannot be taken from it"])
    correlation_id: str | None = Field(None, description="names the request in the writer's log")
    rule: str | None = Field(None, description="422: the rule of the domain that refused the command")
    expected_version: int | None = Field(None, description="409, 412: the version that the command was decided on")
    actual_version: int | None = Field(None, description="409, 412: the version that the account is at")
    errors: list[FieldFault] | None = Field(None, description="400: each field that is wrong")


class ProblemError(HTTPException):
    """Ends a request with ``problem``."""

    def __init__(self, problem: Problem, headers: dict[str, str] | None = None) -> None:
        super().__init__(problem.status, problem.detail, headers)
        self.problem = problem


def problem(name: str, status: HTTPStatus, detail: str, *, title: str | None = None) -> Problem:
    """A problem of type ``urn:kinfold:problem:{name}``; without a title, the status's own phrase."""
    return Problem(type=TYPE_PREFIX + name, title=title or status.phrase, status=status, detail=detail)


def malformed(detail: str, errors: list[FieldFault] | None = None) -> Problem:
    """A request that is not well-formed: 400."""
    found = problem("malformed-request", HTTPStatus.BAD_REQUEST, detail, title="The request is not well-formed")
    return found.model_copy(update={"errors": errors})


def internal_error() -> Problem:
    """A fault of ours: 500. It says nothing of our insides; the log does, under the correlation id."""
    return problem(
        "internal-error",
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "The writer failed on this request. Its log has the cause under this correlation id.",
    )


def problem_response(scope: Scope, found: Problem, headers: dict[str, str] | None = None) -> Response:
    """Render ``found`` as the answer to the request of ``scope``."""
    complete = found.model_copy(update={"correlation_id": scope.get(CORRELATION_SCOPE_KEY)})
    body = complete.model_dump_json(by_alias=True, exclude_none=True)
    return Response(body, found.status, headers, media_type=MEDIA_TYPE)
