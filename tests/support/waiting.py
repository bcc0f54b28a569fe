"""Waiting in tests: look again and again until it holds, and say what was seen when it never does."""

import asyncio
import time
from collections.abc import Callable
from typing import Any, TypeVar, overload

T = TypeVar("T")
_PAUSE = 0.1


@overload
def until(look: Callable[[], T | None], *, within: float = 30, why: Callable[[], str] | None = None) -> T: ...
@overload
def until(look: Callable[[], T], holds: Callable[[T], bool], *, within: float = 30) -> T: ...
def until(
    look: Callable[[], Any],
    holds: Callable[[Any], bool] = bool,
    *,
    within: float = 30,
    why: Callable[[], str] | None = None,
) -> Any:
    """Look until it holds, for at most ``within`` seconds; gives what was seen then. ``why`` explains a failure."""
    deadline = time.monotonic() + within
    while not holds(seen := look()):
        assert time.monotonic() < deadline, f"after {within:g} s: {why() if why else seen}"
        time.sleep(_PAUSE)
    return seen


async def eventually(look: Callable[[], bool], *, within: float = 30) -> None:
    """Look, on the event loop, until it holds, for at most ``within`` seconds."""
    deadline = time.monotonic() + within
    while not look():
        assert time.monotonic() < deadline, f"not within {within:g} s"
        await asyncio.sleep(_PAUSE)
