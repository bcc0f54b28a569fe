"""What the routes need of a request beyond its path and body, and how they refuse what is malformed in it."""

from typing import Annotated

from fastapi import Depends, Header, Request

from ledger.runtime.problems import MALFORMED_REQUEST, ProblemError, require_json
from writer.commands.idempotency import HEADER, MalformedKeyError, parse_key
from writer.commands.preconditions import MalformedPreconditionError, Precondition


def malformed(field: str, message: str) -> ProblemError:
    """The response to a request in which one field or header is wrong: 400."""
    return MALFORMED_REQUEST.of(message, errors=[{"field": field, "message": message}])


async def json_only(request: Request) -> None:
    """Refuse a body that does not say it is JSON, with 415."""
    require_json(request.headers.get("content-type"))


async def _precondition(
    if_match: Annotated[str | None, Header(description="one version in quotes, or *", examples=['"7"'])] = None,
) -> Precondition:
    try:
        return Precondition.parse(if_match)
    except MalformedPreconditionError as error:
        raise malformed("If-Match", str(error)) from None


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
        raise malformed(HEADER, str(error)) from None


RequestKey = Annotated[str | None, Depends(_key)]
