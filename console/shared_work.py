"""Work that several want at the same time: it is done once, in the background, and all of them wait for that."""

import threading
from collections.abc import Callable


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
                self._begin(self._run)
            told = self._told
        told.wait(wait)

    def _run(self) -> None:
        try:
            self._work(self._told.set)
        finally:
            self._under_way = False
            self._told.set()
