"""What the routes need of a request beyond its path and body."""

from typing import Annotated

from fastapi import Depends, Header

from ledger.runtime.request.head import combined
from writer.commands.idempotency import parse_key
from writer.commands.preconditions import Precondition

IfMatchHeader = Annotated[list[str] | None, Header(description="one version in quotes, or *", examples=['"7"'])]
IfNoneMatchHeader = Annotated[
    list[str] | None, Header(description="versions in quotes, or * for any version", examples=["*"])
]


async def _precondition(if_match: IfMatchHeader = None, if_none_match: IfNoneMatchHeader = None) -> Precondition:
    return Precondition.parse(combined(if_match), combined(if_none_match))


Preconditions = Annotated[Precondition, Depends(_precondition)]


async def _key(
    idempotency_key: Annotated[
        list[str] | None,
        Header(
            description="makes the command safe to repeat: 1 to 128 letters, digits or . _ : -",
            examples=["8e03978e-40d5-43dd-bc93-6894a57f9324"],
        ),
    ] = None,
) -> str | None:
    given = combined(idempotency_key)
    return None if given is None else parse_key(given)


RequestKey = Annotated[str | None, Depends(_key)]
