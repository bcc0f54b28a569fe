"""What the table took against what the stream shows, event by event. Pure: no call, and the time comes in as data."""

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

#: Account and sequence number.
Key = tuple[str, int]

#: Events taken and not shown that are kept; beyond it, no more should be read from the table (``full``).
MOST_WAITING: Final = 100_000
#: Events shown and not yet taken that are kept: the stream may be ahead of the table's own.
MOST_EARLY: Final = 200_000


@dataclass(slots=True)
class _Taken:
    number: int
    since: float


class Witness:
    """Compares two streams that tell the same events, in whatever order and however often.

    Times are seconds of one monotonic clock. An event is missing once it was taken ``grace`` seconds ago and was not
    shown; what is shown before it is taken is remembered for ``memory`` seconds. A false alarm is possible (what was
    shown was forgotten, or comes late), a loss that goes unnoticed is not.
    """

    def __init__(self, *, grace: float, memory: float = 600.0) -> None:
        self._grace = grace
        self._memory = memory
        self._waiting: OrderedDict[Key, _Taken] = OrderedDict()
        self._early: OrderedDict[Key, float] = OrderedDict()
        #: Events taken so far.
        self.taken = 0

    def took(self, keys: Iterable[Key], now: float) -> None:
        """The table took these events."""
        for key in keys:
            self.taken += 1
            if self._early.pop(key, None) is None and key not in self._waiting:
                self._waiting[key] = _Taken(self.taken, now)

    def shown(self, keys: Iterable[Key], now: float) -> None:
        """The stream shows these events."""
        for key in keys:
            if self._waiting.pop(key, None) is None:
                self._early[key] = now
                self._early.move_to_end(key)
        while self._early and (len(self._early) > MOST_EARLY or next(iter(self._early.values())) < now - self._memory):
            self._early.popitem(last=False)

    def missing(self, now: float) -> list[Key]:
        """The events that the table took and the stream does not show in time, in the order of their taking."""
        return [key for key, taken in self._waiting.items() if now - taken.since >= self._grace]

    def look_again(self, keys: Iterable[Key], now: float) -> None:
        """These were put on the stream at ``now``: they get a new grace."""
        for key in keys:
            if key in self._waiting:
                self._waiting[key].since = now

    def forget(self, keys: Iterable[Key]) -> None:
        """These need not be shown any more."""
        for key in keys:
            self._waiting.pop(key, None)

    @property
    def waiting(self) -> int:
        """Events taken and not shown."""
        return len(self._waiting)

    @property
    def full(self) -> bool:
        """Whether no more should be read from the table before the stream shows some."""
        return len(self._waiting) >= MOST_WAITING

    @property
    def settled(self) -> int:
        """The first so many events that were taken are all shown."""
        return next(iter(self._waiting.values())).number - 1 if self._waiting else self.taken
