"""A real browser: Debian's Chromium, driven by Playwright, with nobody to ask but this machine."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

CHROMIUM: Final = shutil.which("chromium") or shutil.which("chromium-browser") or ""
NEEDS_CHROMIUM: Final = pytest.mark.skipif(not CHROMIUM, reason="there is no Chromium: apt-get install chromium")
#: Without them it looks for updates and its maker's services at every start.
_QUIET: Final = (
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run"),
    *("--disable-gpu", "--disable-quic"),
)
#: What axe finds that keeps somebody from using a page.
_SERIOUS: Final = frozenset({"serious", "critical"})


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser for the length of the block."""
    # Root has no sandbox to give up.
    arguments = [*_QUIET, *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield browser
        browser.close()


class Visitor:
    """Somebody with a browser window: notes whom the pages ask, and what they complain of."""

    def __init__(self, browser: Browser, url: str, **window: Any) -> None:
        self._context = browser.new_context(base_url=url, **window)
        self.page: Page = self._context.new_page()
        self.hosts: set[str] = set()
        self.complaints: list[str] = []
        self.page.on("request", lambda request: self.hosts.add(urlsplit(request.url).netloc))
        self.page.on("console", self._heard)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _heard(self, message: Any) -> None:
        # A page that is refused or is not there is no complaint of the page that is shown.
        if message.type in {"error", "warning"} and "Failed to load resource" not in message.text:
            self.complaints.append(message.text)

    def barriers(self) -> list[str]:
        """What keeps somebody from using the page that is shown: axe's serious findings, and its width."""
        found = [
            f"{each['id']}: {node['html'][:120]}"
            for each in Axe().run(self.page).response["violations"]
            if each["impact"] in _SERIOUS
            for node in each["nodes"]
        ]
        wide, window = self.page.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
        return found + ([f"{wide} pixels wide in a window of {window}"] if wide > window else [])

    def close(self) -> None:
        """Close the window."""
        self._context.close()
