"""Which problem each error is answered with: the exception handlers of the API.

They are coroutines, so that an error is answered even while every worker thread is busy. What is wrong with a malformed
request is put in words for the person who sent it; a message never repeats a value, and a name that the client chose
only in part, so that the response stays small whatever was sent.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from http import HTTPStatus
from typing import Any, Final

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from ledger.aggregates.errors import RefusedError
from ledger.errors import ConfigurationError, ResourceError, TransientError
from ledger.runtime.problems import (
    IDEMPOTENCY_KEY_REUSED,
    MALFORMED_REQUEST,
    PRECONDITION_FAILED,
    TABLE_REPLACED,
    UNAVAILABLE,
    UNKNOWN_PATH,
    UNREADABLE_HISTORY,
    VERSION_CONFLICT,
    ProblemError,
    of_resource,
    of_status,
    shortened,
)
from ledger.runtime.request.head import RequestHead
from ledger.store.errors import (
    CommandRecordedError,
    CorruptHistoryError,
    TableReplacedError,
    UndecodableEventError,
    VersionConflictError,
)
from writer.commands.idempotency import HEADER, KeyReusedError
from writer.commands.preconditions import Precondition
from writer.problems import broken_rule, problem_response

log = structlog.get_logger(__name__)

_MAX_FAULTS: Final = 10
_MAX_MESSAGE: Final = 200
_NO_BODY: Final = "the request needs a body: send a JSON object"

#: By pydantic's error type, where pydantic's own words are not for people.
_MESSAGES: Final[Mapping[str, str]] = {
    "missing": "is required",
    "extra_forbidden": "is not a field of this request",
    "model_attributes_type": "must be a JSON object",
    "model_type": "must be a JSON object",
}


def describe(errors: Sequence[Mapping[str, Any]]) -> ProblemError:
    """Turn pydantic's errors of one request into one problem that names each field that is wrong."""
    faults = [_fault(error) for error in errors[:_MAX_FAULTS]]
    detail = "; ".join(f"{fault['field']}: {fault['message']}" for fault in faults)
    more = len(errors) - len(faults)
    return MALFORMED_REQUEST.of(f"{detail}; and {more} more" if more else detail, errors=faults)


def _fault(error: Mapping[str, Any]) -> dict[str, str]:
    kind, place = str(error["type"]), error["loc"]
    field = str(place[-1])
    message = _NO_BODY if (field, kind) == ("body", "missing") else _MESSAGES.get(kind, str(error["msg"]))
    return {"field": shortened(field), "message": message.removeprefix("Value error, ")[:_MAX_MESSAGE]}


def _of_conflict(request: Request, conflict: VersionConflictError) -> ProblemError:
    """412 when what the client claimed is not so; 409 when it claimed nothing and others were faster every time."""
    head = RequestHead.from_asgi(request.scope)
    precondition = Precondition.parse(head.field("If-Match"), head.field("If-None-Match"))
    if precondition.holds(conflict.actual):
        detail = (
            f"Other commands were faster on {conflict.aggregate_id}, now at version {conflict.actual}, each "
            "time this one was decided; nothing was written. Send it again."
        )
        return VERSION_CONFLICT.of(detail, expectedVersion=conflict.expected, actualVersion=conflict.actual)
    if precondition.version not in (None, conflict.actual):
        detail = (
            f"If-Match asks for version {precondition.version}, and {conflict.aggregate_id} is at version "
            f"{conflict.actual}; nothing was written. Read it and decide anew."
        )
        return PRECONDITION_FAILED.of(detail, expectedVersion=conflict.expected, actualVersion=conflict.actual)
    if conflict.actual == 0:
        detail = f"If-Match: * asks for what exists, and there is no {conflict.aggregate_id}."
    else:
        detail = f"If-None-Match excludes version {conflict.actual}, which {conflict.aggregate_id} is at."
    return PRECONDITION_FAILED.of(detail, actualVersion=conflict.actual)


def _of_transient(request: Request, error: TransientError) -> ProblemError:
    log.warning("unavailable", reason=str(error), path=request.url.path)
    # Throttling, too: what was throttled may be the second sending of a write whose answer was lost.
    if request.method != "POST":
        return UNAVAILABLE.of("The event store did not answer in time. Send the request again.")
    if HEADER in request.headers:
        return UNAVAILABLE.of()
    return UNAVAILABLE.of(
        "The event store did not answer in time, so the command may have been carried out or not: read the "
        "version before you send it again, and send it with If-Match, so that it cannot count twice. "
        "A command with an Idempotency-Key can simply be sent again."
    )


def _of_resource(request: Request, error: ResourceError | ConfigurationError) -> ProblemError:
    log.error("resource_unusable", reason=str(error), path=request.url.path, action="mend what the reason names")
    return of_resource(error)


def _of_history(request: Request, error: CorruptHistoryError) -> ProblemError:
    """What is stored is not changed by asking again, but by a deployment or a restore: 503 until then."""
    written = "; nothing was written" if request.method == "POST" else ""
    if not isinstance(error, UndecodableEventError):
        log.error("history_corrupt", reason=str(error), path=request.url.path, action="kinfold projector verify")
        return UNREADABLE_HISTORY.of(f"{error}{written}")
    log.error(
        "event_unreadable",
        aggregate=error.aggregate_id,
        sequence_number=error.sequence_number,
        reason=error.reason,
        action="deploy the version of Kinfold that wrote it, or a later one",
    )
    return UNREADABLE_HISTORY.of(
        f"{error}{written}. To go on with it, deploy the version of Kinfold that wrote the event, or a later "
        "one. `kinfold projector dead-letters skip` has the read models go on without it; the writer skips no event, "
        "since it decides on whole histories only.",
        sequenceNumber=error.sequence_number,
    )


def _of_http(request: Request, error: HTTPException) -> ProblemError:
    """The errors that Starlette and FastAPI raise themselves."""
    match error.status_code:
        case HTTPStatus.BAD_REQUEST if isinstance(error.__cause__, ProblemError):
            # FastAPI's, around what the reader of the body says.
            return error.__cause__
        case HTTPStatus.NOT_FOUND:
            return UNKNOWN_PATH.of("Nothing is served under this path; /docs lists what is.")
        case _:
            return of_status(error.status_code, request.method, error.headers)


_PROBLEMS: Final[Mapping[type[Exception], Callable[[Request, Any], ProblemError]]] = {
    ProblemError: lambda _, error: error,
    HTTPException: _of_http,
    RequestValidationError: lambda _, error: describe(error.errors()),
    RefusedError: lambda _, error: broken_rule(error.rule).of(str(error), rule=error.rule),
    KeyReusedError: lambda *_: IDEMPOTENCY_KEY_REUSED.of(),
    CommandRecordedError: lambda *_: UNAVAILABLE.of(
        "Another request with this Idempotency-Key was under way; nothing was written. Send it again."
    ),
    VersionConflictError: _of_conflict,
    TableReplacedError: lambda _, error: TABLE_REPLACED.of(str(error)),
    CorruptHistoryError: _of_history,
    TransientError: _of_transient,
    ResourceError: _of_resource,
    ConfigurationError: _of_resource,
}


def install(app: FastAPI) -> None:
    """Answer every error of ``app`` with a problem; what has no handler, RequestContextMiddleware answers with 500."""
    for kind, problem_of in _PROBLEMS.items():
        app.add_exception_handler(kind, partial(_respond, problem_of))


async def _respond(problem_of: Callable[[Request, Any], ProblemError], request: Request, error: Exception) -> Response:
    return problem_response(request.scope, problem_of(request, error))
