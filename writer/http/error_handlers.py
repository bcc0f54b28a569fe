"""Which answer each error gets: the exception handlers of the API.

They are coroutines, so that an error is answered even while every worker thread is busy.
"""

from http import HTTPStatus

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from ledger.domain.errors import RefusedError
from ledger.errors import TransientError
from ledger.store.errors import CommandRecordedError, VersionConflictError
from writer.commands.idempotency import HEADER, KeyReusedError
from writer.commands.preconditions import Precondition
from writer.http import validation
from writer.problems import (
    RETRY_AFTER,
    Problem,
    ProblemError,
    malformed,
    problem,
    problem_response,
)

log = structlog.get_logger(__name__)


def install(app: FastAPI) -> None:
    """Answer every error of ``app`` with a problem. What is not handled here, the boundary answers with 500."""

    @app.exception_handler(RequestValidationError)
    async def _malformed(request: Request, error: RequestValidationError) -> Response:
        return problem_response(request.scope, validation.describe(error.errors()))

    @app.exception_handler(ProblemError)
    async def _problem(request: Request, error: ProblemError) -> Response:
        return problem_response(request.scope, error.problem, _plain(error))

    @app.exception_handler(HTTPException)
    async def _http(request: Request, error: HTTPException) -> Response:
        return problem_response(request.scope, _of_http(request, error), _plain(error))

    @app.exception_handler(RefusedError)
    async def _refused(request: Request, error: RefusedError) -> Response:
        found = problem(
            error.rule,
            HTTPStatus.UNPROCESSABLE_ENTITY,
            str(error),
            title="The command breaks a rule of the account",
        )
        return problem_response(request.scope, found.model_copy(update={"rule": error.rule}))

    @app.exception_handler(KeyReusedError)
    async def _key_reused(request: Request, _: KeyReusedError) -> Response:
        found = problem(
            "idempotency-key-reused",
            HTTPStatus.UNPROCESSABLE_ENTITY,
            "This Idempotency-Key was used for another command; nothing was written. A new command needs a new key.",
            title="The Idempotency-Key stands for another command",
        )
        return problem_response(request.scope, found)

    @app.exception_handler(CommandRecordedError)
    async def _recorded_meanwhile(request: Request, _: CommandRecordedError) -> Response:
        found = problem(
            "unavailable",
            HTTPStatus.SERVICE_UNAVAILABLE,
            "Another request with this Idempotency-Key was under way; nothing was written. Send it again.",
            title="The command is being carried out",
        )
        return problem_response(request.scope, found, {"Retry-After": str(RETRY_AFTER)})

    @app.exception_handler(VersionConflictError)
    async def _conflict(request: Request, error: VersionConflictError) -> Response:
        found = _of_conflict(Precondition.parse(request.headers.get("if-match")), error)
        return problem_response(request.scope, found)

    @app.exception_handler(TransientError)
    async def _unavailable(request: Request, error: TransientError) -> Response:
        log.warning("unavailable", reason=str(error), path=request.url.path)
        # Throttling, too: what was throttled may be the second sending of a write whose answer was lost.
        if request.method == "POST" and HEADER in request.headers:
            detail = (
                "The event store did not answer in time, so the command may have been carried out or not: send it "
                "again with the same Idempotency-Key, and it counts once."
            )
        elif request.method == "POST":
            detail = (
                "The event store did not answer in time, so the command may have been carried out or not: read the "
                "account's version before you send it again, and send it with If-Match, so that it cannot count twice. "
                "A command with an Idempotency-Key can simply be sent again."
            )
        else:
            detail = "The event store did not answer in time. Send the request again."
        found = problem("unavailable", HTTPStatus.SERVICE_UNAVAILABLE, detail, title="The event store is unavailable")
        return problem_response(request.scope, found, {"Retry-After": str(RETRY_AFTER)})


def _plain(error: HTTPException) -> dict[str, str] | None:
    return dict(error.headers) if error.headers else None


def _of_conflict(precondition: Precondition, conflict: VersionConflictError) -> Problem:
    """412 when what the client claimed is not so; 409 when it claimed nothing and others were faster every time."""
    versions: dict[str, int | None] = {"actual_version": conflict.actual, "expected_version": conflict.expected}
    if precondition.holds(conflict.actual):
        detail = (
            f"Other commands were faster on account {conflict.aggregate_id}, now at version {conflict.actual}, each "
            "time this one was decided; nothing was written. Send it again."
        )
        title = "The account changed while the command was decided"
        return problem("version-conflict", HTTPStatus.CONFLICT, detail, title=title).model_copy(update=versions)
    if precondition.version is None:
        del versions["expected_version"]
        detail = f"If-Match: * asks for an account that exists, and there is no account {conflict.aggregate_id}."
    else:
        detail = (
            f"If-Match asks for version {precondition.version}, and account {conflict.aggregate_id} is at version "
            f"{conflict.actual}; nothing was written. Read the account and decide anew."
        )
    title = "The account is not at the version that If-Match asks for"
    found = problem("precondition-failed", HTTPStatus.PRECONDITION_FAILED, detail, title=title)
    return found.model_copy(update=versions)


def _of_http(request: Request, error: HTTPException) -> Problem:
    """The errors that Starlette and FastAPI raise themselves."""
    status = HTTPStatus(error.status_code)
    match status:
        case HTTPStatus.BAD_REQUEST:
            return malformed("body: cannot be read as JSON in UTF-8")
        case HTTPStatus.NOT_FOUND:
            return problem("unknown-path", status, "Nothing is served under this path; /docs lists what is.")
        case HTTPStatus.METHOD_NOT_ALLOWED:
            detail = f"This path does not take {request.method[:20]}; the Allow header lists what it takes."
            return problem("method-not-allowed", status, detail)
        case _:
            return problem(status.phrase.lower().replace(" ", "-"), status, status.description or status.phrase)
