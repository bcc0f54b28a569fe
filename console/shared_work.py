"""Work that several want at the same time: it is done once, in the background, and all of them wait for that."""

import threading
from collections.abc import Callable
from functools import partial

import structlog

log = structlog.get_logger(__name__)


class SharedWork:
    """Work in the background, once at a time, for however many want it. Safe to share between threads."""

    def __init__(
        self,
        work: Callable[[Callable[[], object]], object],
        due: Callable[[], bool],
        begin: Callable[[Callable[[], None]], object],
    ) -> None:
        """``work`` gets a function that it may call where nobody shall wait for the rest of it.

        ``due``: whether it is to be done anew; ``begin`` runs it in the background.
        """
        self._work = work
        self._due = due
        self._begin = begin
        self._beginning = threading.Lock()
        self._under_way = False
        self._told = threading.Event()
        self._told.set()

    def join(self, wait: float) -> None:
        """Have it done if it is due, and wait so many seconds at most for that, or for what is under way already."""
        with self._beginning:
            if not self._under_way and self._due():
                self._under_way, self._told = True, threading.Event()
                self._begin(partial(self._run, self._told))
            told = self._told
        told.wait(wait)

    def _run(self, told: threading.Event) -> None:
        # Its own event: once it is not under way any more, the next run has another.
        try:
            self._work(told.set)
        except Exception:
            # Nobody asks a pool what a task has raised: what is not logged here is lost.
            log.exception("reading_failed", action="report it: no failure of the endpoint ends like this")
            raise
        finally:
            self._under_way = False
            told.set()
