"""The live parts of pages, made once for all who look at them."""

import functools
import threading
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, Final

from cachetools import LRUCache
from fastapi import Request
from starlette.responses import HTMLResponse, Response

from console.looking.aws_calls import tallied

#: Seconds for which a part stands, as browsers ask again (static/console.js); and for each call to AWS that it took, so
#: that a page takes one call a second at most, however many tabs are open.
PERIOD: Final = 2.0
A_CALL: Final = 1.0
#: Parts kept at most.
_KEPT: Final = 256


@dataclass(slots=True)
class _Fragment:
    body: bytes = b""
    until: float = 0.0
    making: threading.Lock = field(default_factory=threading.Lock)


class Fragments:
    """What was made lately. Safe to share between threads: one makes a part, others who want it wait for that."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._kept: LRUCache[Hashable, _Fragment] = LRUCache(_KEPT)
        self._lock = threading.Lock()

    def get(self, key: Hashable, make: Callable[[], bytes]) -> bytes:
        """The part of this key; it is made where there is none that still stands. Raises what ``make`` does."""
        with self._lock:
            fragment: _Fragment = self._kept.setdefault(key, _Fragment())
        with fragment.making:
            if (now := self._now()) >= fragment.until:
                with tallied() as tally:
                    fragment.body = make()
                fragment.until = now + max(PERIOD, tally.calls * A_CALL)
            return fragment.body


def shared(page: Callable[..., Response]) -> Callable[..., Response]:
    """Serve what ``page`` makes to all who ask for the same address and may see the same: no form is in it."""

    @functools.wraps(page)
    def fragment(request: Request, **of: Any) -> Response:
        key = request.url.path, request.url.query, request.state.session.operates
        fragments: Fragments = request.app.state.fragments
        return HTMLResponse(fragments.get(key, lambda: bytes(page(request, **of).body)))

    return fragment
