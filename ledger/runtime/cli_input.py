"""What a person's command brings: the times it names, and who runs it."""

import getpass
import os
import socket
from datetime import UTC, datetime


def parse_moment(text: str) -> datetime:
    """Parse an ISO 8601 time with its zone, such as ``2026-01-31T06:00Z``; returns it in UTC.

    Raises ValueError, whose message says what is missing.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is no ISO 8601 time, such as 2026-01-31T06:00Z") from None
    if moment.tzinfo is None:
        raise ValueError(f"{text} has no zone: write {text}Z for UTC, or {text}+02:00")
    return moment.astimezone(UTC)


def operator_name() -> str:
    """Who runs this command, for the record: ``user@host``."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user id without a name
        user = f"uid-{os.getuid()}"
    return f"{user}@{socket.gethostname()}"
