"""How much a second: of anything, and of what reading a table costs."""

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

#: The most that is done in one piece: as many records as one PutRecords takes.
_PIECE: Final = 500


class RateLimiter:
    """A post-paid token bucket, shared by threads. ``per_second`` None: no limit.

    A piece passes at once and is paid for afterwards, so a large one delays the next. Pieces of at most ``piece`` keep
    every second within a tenth of the rate.
    """

    def __init__(
        self, per_second: float | None, stop: threading.Event, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.piece = _PIECE if per_second is None else min(_PIECE, max(1, int(per_second / 10)))
        self._per_second = per_second
        self._stop = stop
        self._clock = clock
        self._lock = threading.Lock()
        self._free_at = clock()

    @property
    def limits(self) -> bool:
        """Whether there is a limit."""
        return self._per_second is not None

    def take(self, count: float) -> None:
        """Wait until earlier pieces are paid for, then owe this one. Returns at once when ``stop`` is set."""
        if self._per_second is None:
            return
        with self._lock:
            begin = max(self._free_at, self._clock())
            self._free_at = begin + count / self._per_second
        self._stop.wait(max(0.0, begin - self._clock()))


def limit_reads(dynamodb: "DynamoDBClient", table: str, limiter: RateLimiter) -> None:
    """Have every Scan and Query of a table wait for the read units of those before it, whoever makes them.

    Paid for afterwards, by what DynamoDB says that it consumed.
    """

    def ask(params: dict[str, Any], **_: object) -> None:
        if params.get("TableName") == table:
            params["ReturnConsumedCapacity"] = "TOTAL"

    def pay(parsed: dict[str, Any], **_: object) -> None:
        consumed = parsed.get("ConsumedCapacity", {})
        if consumed.get("TableName") == table:
            limiter.take(consumed["CapacityUnits"])

    for operation in ("Scan", "Query"):
        dynamodb.meta.events.register(f"provide-client-params.dynamodb.{operation}", ask)
        dynamodb.meta.events.register(f"after-call.dynamodb.{operation}", pay)
