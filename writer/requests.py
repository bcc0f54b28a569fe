"""What the routes ask of a request beyond its path and body: its media type, its precondition, its account."""

from http import HTTPStatus
from typing import Annotated

from fastapi import Depends, Header, Request

from writer.preconditions import MalformedPreconditionError, Precondition
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


def unknown_account(account_id: str) -> ProblemError:
    """The answer to a read of an account without events: 404."""
    detail = f"There is no account {account_id}: its first deposit opens it."
    return ProblemError(problem("unknown-account", HTTPStatus.NOT_FOUND, detail))
