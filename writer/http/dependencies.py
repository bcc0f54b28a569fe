"""What the routes ask of a request beyond its path and body: media type, precondition, idempotency key, account."""

from http import HTTPStatus
from typing import Annotated

from fastapi import Depends, Header, Request

from writer.commands.idempotency import HEADER, MalformedKeyError, parse_key
from writer.commands.preconditions import MalformedPreconditionError, Precondition
from writer.problems import FieldFault, ProblemError, malformed, problem


async def json_only(request: Request) -> None:
    """Refuse a body that does not say it is JSON, with 415."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        found = problem(
            "unsupported-media-type",
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            "Send JSON, with Content-Type: application/json.",
        )
        raise ProblemError(found)


async def _precondition(
    if_match: Annotated[str | None, Header(description="one version in quotes, or *", examples=['"7"'])] = None,
) -> Precondition:
    try:
        return Precondition.parse(if_match)
    except MalformedPreconditionError as error:
        raise ProblemError(malformed(str(error), [FieldFault(field="If-Match", message=str(error))])) from None


IfMatch = Annotated[Precondition, Depends(_precondition)]


async def _key(
    idempotency_key: Annotated[
        str | None,
        Header(
            description="makes the command safe to repeat: 1 to 128 letters, digits or . _ : -",
            examples=["8e03978e-40d5-43dd-bc93-6894a57f9324"],
        ),
    ] = None,
) -> str | None:
    try:
        return None if idempotency_key is None else parse_key(idempotency_key)
    except MalformedKeyError as error:
        raise ProblemError(malformed(str(error), [FieldFault(field=HEADER, message=str(error))])) from None


RequestKey = Annotated[str | None, Depends(_key)]


def unknown_account(account_id: str) -> ProblemError:
    """The answer to a read of an account without events: 404."""
    detail = f"There is no account {account_id}: its first deposit opens it."
    return ProblemError(problem("unknown-account", HTTPStatus.NOT_FOUND, detail))


def unknown_version(account_id: str, *, asked: int, actual: int) -> ProblemError:
    """The answer to a read of a version that an account never reached: 404."""
    detail = f"Account {account_id} is at version {actual} and was never at version {asked}."
    found = problem("unknown-version", HTTPStatus.NOT_FOUND, detail, title="The account never had this version")
    return ProblemError(found.model_copy(update={"actual_version": actual}))


def not_yet(account_id: str, moment: str) -> ProblemError:
    """The answer to a read of a moment before an account's first event: 404."""
    detail = f"Account {account_id} had no events at {moment}."
    return ProblemError(problem("unknown-account", HTTPStatus.NOT_FOUND, detail))
