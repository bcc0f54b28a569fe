"""Outages: for a while AWS refuses every call of a kind, on top of whatever the weather is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from simulation.aws.errors import AwsError
from simulation.aws.wire.network import Fate, Request, Weather

#: What fails together, as beginnings of operations' names: everything, a service, writes of rows, puts.
SCOPES: Final = ("", "dynamodb.", "dynamodb.BatchExecuteStatement", "kinesis.", "kinesis.Put")
_FAULT: Final = AwsError("InternalServerError", "simulated outage", status=500)
_SECONDS: Final = 0.01


class Outages:
    """A weather with outages in it."""

    def __init__(self, weather: Weather, now: Callable[[], float]) -> None:
        self._weather = weather
        self._now = now
        self._until: dict[str, float] = {}
        #: Whether the weather waits: every call goes through.
        self.fair = False

    def begin(self, scope: str, seconds: float) -> None:
        """Refuse every call whose name begins so."""
        self._until[scope] = max(self._until.get(scope, 0.0), self._now() + seconds)

    def clear(self) -> None:
        """No more of them."""
        self._until = {}

    def fate(self, operation: str, request: Request) -> Fate:
        """See `Weather.fate`."""
        if self.fair:
            return Fate(_SECONDS)
        for scope, until in self._until.items():
            if operation.startswith(scope) and self._now() < until:
                return Fate(_SECONDS, refused=_FAULT)
        return self._weather.fate(operation, request)

    def partial(self, operation: str, request: Request) -> tuple[Request, Callable[[dict[str, Any]], None]] | None:
        """See `Weather.partial`."""
        return None if self.fair else self._weather.partial(operation, request)
