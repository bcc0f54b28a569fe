"""Identifiers that come from outside: letters, digits and a few marks, bounded in length.

They become DynamoDB keys, URL paths and fields of log lines, so nothing that could forge any of these gets in.
"""

from typing import Annotated, Final

from pydantic import StringConstraints, TypeAdapter, ValidationError

AccountId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$")]
BetId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,63}$")]
IdempotencyKey = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$")]

_ACCOUNT_ID: Final[TypeAdapter[str]] = TypeAdapter(AccountId)


def is_account_id(text: str) -> bool:
    """Whether an account can have this id."""
    try:
        _ACCOUNT_ID.validate_python(text)
    except ValidationError:
        return False
    return True
