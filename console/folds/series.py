"""A number over time, in bounded memory: at most so many points, each with the lowest, highest and last value in it."""

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from typing import Final

#: Points kept at most. More than a chart has columns, so that nothing that can be seen is lost.
MAX_POINTS: Final = 2048


@dataclass(slots=True)
class Point:
    """The values of some events in a row. ``at``: when the last of them occurred, in seconds since 1970, UTC."""

    at: float
    low: float
    high: float
    last: float


class Series:
    """Takes one value an event, in order."""

    def __init__(self, most: int = MAX_POINTS) -> None:
        self._most = most
        self._points: list[Point] = []
        self._events_a_point = 1
        self._in_last = 0

    def seen(self) -> Sequence[Point]:
        """What is kept, in order; the last point may go on changing, and is given as it is now."""
        return [*self._points[:-1], *map(copy, self._points[-1:])]

    def add(self, at: float, value: float) -> None:
        """Take the value after an event. When there are too many points, each two become one."""
        if self._points and self._in_last < self._events_a_point:
            point = self._points[-1]
            point.at, point.last = at, value
            point.low, point.high = min(point.low, value), max(point.high, value)
            self._in_last += 1
            return
        if len(self._points) == self._most:
            self._points = [joined(*self._points[n : n + 2]) for n in range(0, self._most, 2)]
            self._events_a_point *= 2
        self._points.append(Point(at, value, value, value))
        self._in_last = 1


def joined(first: Point, second: Point) -> Point:
    """Two points in a row as one."""
    return Point(second.at, min(first.low, second.low), max(first.high, second.high), second.last)
