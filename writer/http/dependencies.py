"""The fields that routes take of a request's head. Each may come in several lines: one list (RFC 9110, 5.3)."""

from typing import Annotated

from fastapi import Header

IfMatchHeader = Annotated[list[str] | None, Header(description="one version in quotes, or *", examples=['"7"'])]
IfNoneMatchHeader = Annotated[
    list[str] | None, Header(description="versions in quotes, or * for any version", examples=["*"])
]


IdempotencyKeyHeader = Annotated[
    list[str] | None,
    Header(
        description="makes the command safe to repeat: 1 to 128 letters, digits or . _ : -",
        examples=["8e03978e-40d5-43dd-bc93-6894a57f9324"],
    ),
]
