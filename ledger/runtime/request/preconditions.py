"""Conditional requests (RFC 9110, section 13): what ``If-Match`` and ``If-None-Match`` say of an entity tag."""

import re
from typing import Final

from ledger.runtime.problems import PRECONDITION_FAILED, malformed

ANY: Final = "*"
_TAG: Final = r'(?:W/)?"[!#-~]*"'
#: RFC 9110, 13.1.1: ``*``, or entity tags, parted by commas.
TAGS: Final = rf"\*|{_TAG}(?:[ \t]*,[ \t]*{_TAG})*"
_TAGS: Final = re.compile(TAGS)


def parse_tags(field: str, value: str | None) -> frozenset[str]:
    """The entity tags that a condition lists, weak ones with their ``W/``; of ``*``, itself; none without a value.

    Raises ProblemError (400): it is neither.
    """
    if value is None:
        return frozenset()
    if not _TAGS.fullmatch(value):
        raise malformed(field, 'takes entity tags in quotes, such as "7", or *')
    return frozenset([ANY] if value == ANY else re.findall(_TAG, value))


def is_unchanged(if_match: str | None, if_none_match: str | None, tag: str) -> bool:
    """Whether 304 answers this read of what has the strong entity tag ``tag``: If-None-Match names it.

    Compares If-Match strongly and If-None-Match weakly (RFC 9110, 13.1.1 and 13.1.2). Raises ProblemError: 412 when
    If-Match does not name the tag, 400 for a condition that is none.
    """
    wanted, known = parse_tags("If-Match", if_match), parse_tags("If-None-Match", if_none_match)
    if wanted and not wanted & {tag, ANY}:
        raise PRECONDITION_FAILED.of(f"If-Match does not name what there is, which is {tag}.")
    return not known.isdisjoint({tag, f"W/{tag}", ANY})
