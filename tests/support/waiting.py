"""The one way to wait in tests: look again and again until it holds, and say what was seen when it never does."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Final, TypeVar, overload

#: Seconds after which what has not come will not come. No measure of speed: a loaded machine has time.
PATIENCE: Final = 300.0
_EVERY: Final = 0.25

T = TypeVar("T")


@overload
def until(
    look: Callable[[], T | None],
    *,
    within: float = PATIENCE,
    every: float = _EVERY,
    why: Callable[[], str] | None = None,
) -> T: ...
@overload
def until(
    look: Callable[[], T],
    holds: Callable[[T], bool],
    *,
    within: float = PATIENCE,
    every: float = _EVERY,
    why: Callable[[], str] | None = None,
) -> T: ...
def until(
    look: Callable[[], Any],
    holds: Callable[[Any], bool] = bool,
    *,
    within: float = PATIENCE,
    every: float = _EVERY,
    why: Callable[[], str] | None = None,
) -> Any:
    """Look until it holds, for at most ``within`` seconds; gives what was seen then. ``why`` explains a failure.

    Between two looks pass ``every`` seconds at most.
    """
    seen = last_seen(look, holds, within=within, every=every)
    assert holds(seen), f"after {within:g} s: {why() if why else seen}"
    return seen


def last_seen(
    look: Callable[[], T], holds: Callable[[T], bool], *, within: float = PATIENCE, every: float = _EVERY
) -> T:
    """Look until it holds or ``within`` seconds are over; gives what was seen last, for the caller to judge."""
    deadline = time.monotonic() + within
    pauses = _pauses(every)
    while not holds(seen := look()) and time.monotonic() < deadline:
        time.sleep(next(pauses))
    return seen


def _pauses(longest: float) -> Iterator[float]:
    """Between looks: what comes soon is seen soon, and a long wait does not keep a core busy with looking."""
    pause = 0.02
    while True:
        yield pause
        pause = min(1.5 * pause, longest)


async def eventually(
    look: Callable[[], bool | Awaitable[bool]], *, within: float = PATIENCE, blocking: bool = False
) -> None:
    """Look until it holds, for at most ``within`` seconds: on the event loop, or in a thread a look that blocks."""
    if blocking:
        await asyncio.to_thread(until, look, within=within)
        return
    deadline, pauses = time.monotonic() + within, _pauses(_EVERY)
    while not (await seen if isinstance(seen := look(), Awaitable) else seen):
        assert time.monotonic() < deadline, f"not within {within:g} s"
        await asyncio.sleep(next(pauses))


async def next_second(count: int = 1) -> None:
    """Wait until the clock has shown so many other seconds: for starts at a moment that is told in whole seconds."""
    await asyncio.sleep(count + 0.01 - time.time() % 1)
