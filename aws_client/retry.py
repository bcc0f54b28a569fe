"""How long to wait before another attempt, and which attempts to log. Pure: nothing here sleeps or logs."""

from __future__ import annotations


def delay(attempt: int, draw: float, *, base: float = 0.1, maximum: float = 15.0) -> float:
    """Seconds before attempt `attempt` + 1: exponential from `base` up to `maximum`, the upper half of it random.

    `draw` in [0, 1) is the randomness, so that the answer is a function of its arguments alone. Attempts count from 1.
    """
    full = min(maximum, base * 2.0 ** min(attempt - 1, 30))
    return full / 2 + full / 2 * draw


def should_log(attempt: int) -> bool:
    """Whether to log that this attempt failed: the 1st, 4th, 8th, 16th ... so that no outage floods the log."""
    return attempt == 1 or (attempt >= 4 and attempt & (attempt - 1) == 0)
