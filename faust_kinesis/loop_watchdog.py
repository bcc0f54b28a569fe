"""Ends a process whose event loop is blocked, and says in the log where it stands.

A thread does so. Where no thread runs either, because an extension keeps Python's lock, `faulthandler` ends the process
a little later, and writes past the log.
"""

from __future__ import annotations

import faulthandler
import logging
import os
import sys
import threading
import time
import traceback

log = logging.getLogger(__name__)

_TICK = 0.5
_GRACE = 10.0
"""Seconds that the thread has before `faulthandler` takes over."""


class LoopWatchdog:
    """Watches the event loop of the thread that makes it, which says that it runs by `feed`."""

    def __init__(self, limit: float) -> None:
        """`limit`: seconds without `feed` after which the process ends with exit code 1."""
        self._limit = limit
        self._loop_thread = threading.get_ident()
        self._ended = threading.Event()
        self.feed()
        threading.Thread(target=self._watch, name="loop-watchdog", daemon=True).start()

    def feed(self) -> None:
        """The loop runs."""
        self._fed_at = time.monotonic()
        if sys.__stderr__ is not None:
            faulthandler.dump_traceback_later(self._limit + _GRACE, exit=True, file=sys.__stderr__)

    def end(self) -> None:
        """Watch no longer."""
        self._ended.set()
        faulthandler.cancel_dump_traceback_later()

    def _watch(self) -> None:
        while not self._ended.wait(_TICK):
            blocked = time.monotonic() - self._fed_at
            if blocked > self._limit:
                place = "".join(traceback.format_stack(sys._current_frames()[self._loop_thread]))
                log.critical(
                    "The event loop has been blocked for %.0f s, so the worker ends; it stands in\n%s",
                    blocked,
                    place,
                    extra={"action": "event_loop_blocked"},
                )
                os._exit(1)
