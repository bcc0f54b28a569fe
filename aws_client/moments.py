"""Moments that come from outside, in a setting, an option or a query: one strict reader for all of them."""

import re
from datetime import UTC, datetime
from typing import Final

#: AWS takes times as Unix time: what was before is none of its. Up to the end of year 9999 every moment can be written.
EARLIEST: Final = datetime(1970, 1, 1, tzinfo=UTC)
#: RFC 3339, section 5.6; the seconds may be left out, as ISO 8601 allows. More digits than microseconds are cut.
_MOMENT: Final = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?P<zone>Z|[+-]\d\d:\d\d)?", re.ASCII | re.IGNORECASE
)
_TIME: Final = "ISO 8601 time, such as 2026-01-31T06:00Z"
_SHOWN: Final = 40


def parse_moment(text: str) -> datetime:
    """Read a time with its zone, such as ``2026-01-31T06:00Z``, from 1970 to the year 9999; returns it in UTC.

    Raises ValueError, whose message says what to write.
    """
    shown, match = repr(text[:_SHOWN]), _MOMENT.fullmatch(text)
    if match is None:
        raise ValueError(f"{shown} is no {_TIME}")
    if match["zone"] is None:
        raise ValueError(f"{shown} has no zone: write {text}Z for UTC, or {text}+02:00")
    try:
        local = datetime.fromisoformat(text.upper())
    except ValueError:
        raise ValueError(f"{shown} is no {_TIME}") from None
    try:
        moment = local.astimezone(UTC)
    except OverflowError:
        moment = None
    if moment is None or moment < EARLIEST:
        raise ValueError(f"{shown} is not from 1970 to the year 9999")
    return moment
