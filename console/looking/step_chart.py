"""A number over time as a step chart: an SVG of bounded size, with axes, and readable without colours or scripts."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from console.folds.series import Point, joined

WIDTH: Final = 720
HEIGHT: Final = 220
_LEFT: Final = 70
_BOTTOM: Final = 28
_TOP: Final = 12
_RIGHT: Final = 12
#: Lines across the chart, about.
_LINES: Final = 4


@dataclass(frozen=True, slots=True)
class Tick:
    """A mark on an axis: where, and what it says."""

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class StepChart:
    """What a template draws: the path of the steps, the marks, and what a screen reader says instead."""

    path: str
    across: Sequence[Tick]
    along: Sequence[Tick]
    summary: str
    width: int = WIDTH
    height: int = HEIGHT
    left: int = _LEFT
    base: int = HEIGHT - _BOTTOM


def step_chart(name: str, points: Sequence[Point]) -> StepChart | None:
    """Draw the points; None where there are none. Each is a step, with its lowest and highest value.

    What falls on one column of the chart is one step: there are at most WIDTH of them.
    """
    if not points:
        return None
    lines = list(_round_numbers(min(0.0, *(each.low for each in points)), max(each.high for each in points)))
    low, high = lines[0], lines[-1]
    begin, end = points[0].at, points[-1].at
    span, rise = (end - begin) or 1.0, (high - low) or 1.0

    def x(at: float) -> float:
        return round(_LEFT + (at - begin) / span * (WIDTH - _LEFT - _RIGHT), 1)

    def y(value: float) -> float:
        return round(_TOP + (high - value) / rise * (HEIGHT - _TOP - _BOTTOM), 1)

    columns: list[Point] = []
    for each in points:
        if columns and int(x(columns[-1].at)) == int(x(each.at)):
            columns[-1] = joined(columns[-1], each)
        else:
            columns.append(each)
    first = points[0]
    path = [f"M{x(first.at)} {y(first.last)}"]
    for each in columns:
        path.append(f"H{x(each.at)}")
        if each.low != each.high:
            path.append(f"V{y(each.low)}V{y(each.high)}")
        path.append(f"V{y(each.last)}")
    if len(columns) == 1:
        path.append(f"H{WIDTH - _RIGHT}")
    summary = (
        f"{name} from {_when(begin, span)} to {_when(end, span)}: {first.last:,.2f} at first, {points[-1].last:,.2f} "
        f"at last, between {min(each.low for each in points):,.2f} and {max(each.high for each in points):,.2f}"
    )
    along = [Tick(x(at), _when(at, span)) for at in ((begin, end) if len(points) > 1 else (begin,))]
    return StepChart("".join(path), [Tick(y(line), f"{line:,.10g}") for line in lines], along, summary)


def _round_numbers(low: float, high: float) -> Iterator[float]:
    """Round numbers from at most ``low`` to at least ``high``: 1, 2 or 5 times a power of ten apart."""
    rough = (high - low) / _LINES or 1.0
    power = 10.0 ** math.floor(math.log10(rough))
    apart = next(each * power for each in (1, 2, 5, 10) if each * power >= rough)
    first, last = math.floor(low / apart), math.ceil(high / apart)
    for number in range(first, max(last, first + 1) + 1):
        yield number * apart


def _when(at: float, span: float) -> str:
    moment = datetime.fromtimestamp(at, UTC)
    return f"{moment:%Y-%m-%d}" if span > 86_400 * 2 else f"{moment:%Y-%m-%d %H:%M:%S}"
