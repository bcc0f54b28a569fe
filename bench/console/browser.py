"""What a browser asks of the console: pages on a kept connection, and the live part of one that stays open."""

import http.client
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final, Self

#: Seconds between two requests for a live part, as static/console.js has it.
_PERIOD: Final = 2.0
_TIMEOUT: Final = 60


@dataclass(frozen=True, slots=True)
class Page:
    """An answer, and how long it took: by the console itself, and by the browser's clock."""

    status: int
    text: str
    server_millis: float
    millis: float


class Browser:
    """One browser, on one kept connection, with its session."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT)
        self._cookie = ""

    def open(self, path: str) -> Page:
        """Ask for a page. Raises RuntimeError for an error's."""
        began = time.perf_counter()
        self._connection.request("GET", path, headers={"Cookie": self._cookie} if self._cookie else {})
        answer = self._connection.getresponse()
        text = answer.read().decode()
        millis = (time.perf_counter() - began) * 1000
        if answer.status >= 400:
            raise RuntimeError(f"{path} was answered {answer.status}: {text[-1500:]}")
        if cookie := answer.getheader("Set-Cookie"):
            self._cookie = cookie.partition(";")[0]
        server = float((answer.getheader("Server-Timing") or "").rpartition("dur=")[2])
        return Page(answer.status, text, server, millis)

    def close(self) -> None:
        """End the connection."""
        self._connection.close()


class Tab:
    """A page that stays open while the block runs, and has its live part fetched anew."""

    def __init__(self, port: int, page: str, after: float) -> None:
        """``after``: seconds after which it is opened."""
        self._port, self._page, self._after = port, page, after
        self._closed = threading.Event()

    def __enter__(self) -> Self:
        self._executor = ThreadPoolExecutor(1)
        self._followed = self._executor.submit(self._follow)
        return self

    def __exit__(self, *_: object) -> None:
        """Raises what its requests failed with."""
        self._closed.set()
        self._followed.result()
        self._executor.shutdown()

    def _follow(self) -> None:
        browser = Browser(self._port)
        try:
            self._closed.wait(self._after)
            live = browser.open(self._page).text.partition('data-live="')[2].partition('"')[0].replace("&amp;", "&")
            while not self._closed.wait(_PERIOD):
                browser.open(live)
        finally:
            browser.close()
