"""Moments that a person gives."""

from datetime import UTC, datetime


def parse_moment(text: str) -> datetime:
    """Read an ISO 8601 time with its zone, such as ``2026-01-31T06:00Z``; returns it in UTC.

    Raises ValueError, which says what is missing.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is no ISO 8601 time, such as 2026-01-31T06:00Z") from None
    if moment.tzinfo is None:
        raise ValueError(f"say the zone of {text}: {text}Z for UTC, or {text}+02:00")
    return moment.astimezone(UTC)
