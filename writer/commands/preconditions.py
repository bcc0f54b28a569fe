"""Conditional requests: what ``If-Match`` and ``If-None-Match`` say about an account's version (RFC 9110, 13.1)."""

import re
from dataclasses import dataclass
from typing import Final, Self

from ledger.errors import PermanentError
from ledger.store.errors import VersionConflictError

#: Our strong entity tag: the version in quotes, written without leading zeros.
_TAG: Final = re.compile(r'"(0|[1-9][0-9]{0,14})"', re.ASCII)
_ANY: Final = "*"


class MalformedPreconditionError(PermanentError):
    """An ``If-Match`` that is neither ``*`` nor one version in quotes."""


def etag(version: int) -> str:
    """The entity tag of an account at ``version``."""
    return f'"{version}"'


@dataclass(frozen=True, slots=True)
class Precondition:
    """At which versions of the account a command may be carried out: one, any above 0, or any at all."""

    version: int | None = None
    must_exist: bool = False

    @classmethod
    def parse(cls, if_match: str | None) -> Self:
        """Read an ``If-Match`` header; None, the header's absence, allows every version.

        Raises MalformedPreconditionError.
        """
        if if_match is None:
            return cls()
        if if_match.strip() == _ANY:
            return cls(must_exist=True)
        tag = _TAG.fullmatch(if_match.strip())
        if tag is None:
            raise MalformedPreconditionError('If-Match takes one version in quotes, such as "7", or *')
        return cls(version=int(tag[1]))

    def holds(self, actual: int) -> bool:
        """Whether the command may be carried out at version ``actual``."""
        if self.version is not None:
            return actual == self.version
        return actual > 0 or not self.must_exist

    def require(self, account_id: str, actual: int) -> None:
        """Raise VersionConflictError unless the precondition holds at version ``actual``."""
        if not self.holds(actual):
            expected = 1 if self.version is None else self.version
            raise VersionConflictError(
                account_id, expected=expected, actual=actual, conflicting=min(expected, actual) + 1
            )


def unchanged(if_none_match: str | None, version: int) -> bool:
    """Whether ``If-None-Match`` names ``version``, so that 304 will do. Weak comparison, as the RFC has it for GET."""
    if if_none_match is None:
        return False
    tags = (tag.strip().removeprefix("W/") for tag in if_none_match.split(","))
    return any(tag in (_ANY, etag(version)) for tag in tags)
