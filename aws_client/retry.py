"""How long to wait before another attempt, and which attempts to log. Nothing here sleeps or logs."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tenacity import RetryCallState


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Exponential backoff from `base` seconds up to `maximum`, of which the share `jitter` is random.

    A jitter of 1 is for callers that contend with one another: it spreads them over the whole wait.
    """

    base: float = 0.1
    maximum: float = 15.0
    jitter: float = 0.5

    def delay(self, attempt: int, draw: float | None = None) -> float:
        """Seconds before attempt `attempt` + 1; attempts count from 1.

        `draw` in [0, 1) takes the place of the random number, so that the answer is a function of the arguments alone.
        """
        full = min(self.maximum, self.base * 2.0 ** min(attempt - 1, 30))
        drawn = random.random() if draw is None else draw  # noqa: S311 - jitter, no secret
        return full * (1 - self.jitter + self.jitter * drawn)

    def __call__(self, state: RetryCallState) -> float:
        """The policy as the `wait` of a tenacity loop."""
        return self.delay(state.attempt_number)


def should_log(attempt: int) -> bool:
    """Whether to log that this attempt failed: the 1st, 4th, 8th, 16th ... so that no outage floods the log."""
    return attempt == 1 or (attempt >= 4 and attempt & (attempt - 1) == 0)
