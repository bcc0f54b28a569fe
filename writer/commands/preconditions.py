"""Conditional commands: what ``If-Match`` and ``If-None-Match`` say about an aggregate's version (RFC 9110, 13.1)."""

import re
from dataclasses import dataclass
from typing import Final, Self

from ledger.runtime.problems import malformed
from ledger.runtime.request.preconditions import ANY, parse_tags
from ledger.store.errors import VersionConflictError

#: Our strong entity tag: the version in quotes, written without leading zeros.
_TAG: Final = re.compile(r'"(0|[1-9][0-9]{0,14})"', re.ASCII)


def etag(version: int) -> str:
    """The entity tag of an aggregate at ``version``."""
    return f'"{version}"'


@dataclass(frozen=True, slots=True)
class Precondition:
    """At which versions of the aggregate a command may be carried out: one, any above 0, or any at all.

    ``excluded``: the entity tags of versions at which it may not; ``*`` stands for every version above 0.
    """

    version: int | None = None
    must_exist: bool = False
    excluded: frozenset[str] = frozenset()

    @classmethod
    def parse(cls, if_match: str | None, if_none_match: str | None = None) -> Self:
        """Read the two fields; None is a field's absence. Both hold, or the command is refused (RFC 9110, 13.2.2).

        Raises ProblemError (400): If-Match is neither ``*`` nor one version in quotes, or If-None-Match neither ``*``
        nor entity tags.
        """
        excluded = parse_tags("If-None-Match", if_none_match)
        if if_match is None or if_match == ANY:
            return cls(must_exist=if_match is not None, excluded=excluded)
        tag = _TAG.fullmatch(if_match)
        if tag is None:
            raise malformed("If-Match", 'takes one version in quotes, such as "7", or *')
        return cls(version=int(tag[1]), excluded=excluded)

    def holds(self, actual: int) -> bool:
        """Whether the command may be carried out at version ``actual``."""
        if actual > 0 and not self.excluded.isdisjoint({ANY, etag(actual), f"W/{etag(actual)}"}):
            return False
        if self.version is not None:
            return actual == self.version
        return actual > 0 or not self.must_exist

    def require(self, aggregate_id: str, actual: int) -> None:
        """Raise VersionConflictError unless the precondition holds at version ``actual``."""
        if not self.holds(actual):
            expected = self.version if self.version is not None else 1 if self.must_exist else 0
            raise VersionConflictError(
                aggregate_id, expected=expected, actual=actual, conflicting=min(expected, actual) + 1
            )
