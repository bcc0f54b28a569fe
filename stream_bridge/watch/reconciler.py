"""Reconciles what the table took with what the stream shows, event by event. Pure: no calls, time comes in as data."""

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

#: Aggregate, sequence number and hash of an event: a restore of the table may give its number to another one. No hash
#: where a change shows no event.
Key = tuple[str, int, str]

#: Events taken and not shown that are kept; at this count, no more should be read from the table (``full``).
MAX_WAITING: Final = 100_000
#: Events shown and not yet taken that are kept: Kinesis may be ahead of the table's own stream.
MAX_EARLY: Final = 200_000


@dataclass(slots=True)
class _Taken:
    number: int
    since: float


class StreamReconciler:
    """Compares two streams of the same events, which may be unordered and hold duplicates.

    Times are seconds of one monotonic clock. An event is missing once it was taken ``grace`` seconds ago and has not
    been shown; what is shown before it is taken is remembered for ``memory`` seconds. False alarms are possible (an
    event was shown and forgotten, or comes late); a loss is never missed.
    """

    def __init__(self, *, grace: float, memory: float = 600.0) -> None:
        self._grace = grace
        self._memory = memory
        self._waiting: OrderedDict[Key, _Taken] = OrderedDict()
        self._early: OrderedDict[Key, float] = OrderedDict()
        #: Events taken so far.
        self.taken = 0

    def took(self, keys: Iterable[Key], now: float) -> None:
        """Record events that the table took."""
        for key in keys:
            self.taken += 1
            if self._early.pop(key, None) is None and key not in self._waiting:
                self._waiting[key] = _Taken(self.taken, now)

    def shown(self, keys: Iterable[Key], now: float) -> None:
        """Record events that the stream shows."""
        for key in keys:
            if self._waiting.pop(key, None) is None:
                self._early[key] = now
                self._early.move_to_end(key)
        while self._early and (len(self._early) > MAX_EARLY or next(iter(self._early.values())) < now - self._memory):
            self._early.popitem(last=False)

    def missing(self, now: float) -> list[Key]:
        """The events that the stream has not shown within the grace, in the order in which the table took them."""
        return [key for key, taken in self._waiting.items() if now - taken.since >= self._grace]

    def restart_grace(self, keys: Iterable[Key], now: float) -> None:
        """Restart the grace of events that were republished at ``now``."""
        for key in keys:
            if key in self._waiting:
                self._waiting[key].since = now

    def forget(self, keys: Iterable[Key]) -> None:
        """Expect these events no longer."""
        for key in keys:
            self._waiting.pop(key, None)

    @property
    def waiting(self) -> int:
        """How many events were taken and not shown."""
        return len(self._waiting)

    @property
    def full(self) -> bool:
        """Whether reading the table should pause until the stream shows some."""
        return len(self._waiting) >= MAX_WAITING

    @property
    def settled(self) -> int:
        """How many of the first taken events are all shown."""
        return next(iter(self._waiting.values())).number - 1 if self._waiting else self.taken
