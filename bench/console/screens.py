"""How long the console's screens take, cold and warm, and what a tab costs that stays open."""

import contextlib
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

from bench.console.browser import Browser, Page, Tab
from bench.console.ledger import LONG, fill
from bench.writer.servers import NAMES, PROFILE, Aws, Server, memory_aws, running
from kinfold.local.environment import service_clients, service_environment
from kinfold.local.stack import Stack

#: Milliseconds after which DynamoDB and Kinesis answer, about.
_AWS_MILLIS: Final = 5.0
_CALLER: Final = "console"
_READING: Final = "Reading the history"
_PATIENCE: Final = 120
_ACCOUNT: Final = f"/aggregates/account/{LONG}"
#: What changes by itself, and is fetched as long as somebody looks.
_LIVE: Final = {
    "overview": "/",
    "account": _ACCOUNT,
    "read models": "/read-models",
    "stream": "/stream",
    "bridge": "/bridge",
}


def console(events: int, runs: int, seconds: float, report: Callable[[str], None]) -> dict[str, Any]:
    """Every screen on a ledger with a history of so many events; and tabs that stay open for so many seconds."""
    with memory_aws(_AWS_MILLIS, f"app/{_CALLER}") as aws, Stack(aws.url, profile=PROFILE) as stack:
        fill(service_clients(aws.url, PROFILE), NAMES, events, report)
        services = ",".join(stack.urls.values())
        screens: dict[str, Any] = {}
        for name, path in screens_of(events).items():
            with _console(aws, services) as server:
                screens[name] = _screen(aws, server, path, runs)
            report(f"{name}: {screens[name]}")
        with _console(aws, services) as server:
            tabs = _tabs(aws, server, seconds, report)
    return {"events": events, "aws_millis": _AWS_MILLIS, "seconds": seconds, "screens": screens, "tabs": tabs}


def screens_of(events: int) -> dict[str, str]:
    """The screens by name."""
    steps = {f"step {at:,}": f"{_ACCOUNT}/steps/{at}" for at in (1, events // 2, events - 1, events)}
    number = "?number=balance-summary.staked"
    return {
        "overview": "/",
        "list": "/aggregates",
        "search": f"/aggregates?q={LONG}",
        "account": _ACCOUNT,
        "its chart of another number": _ACCOUNT + number,
        "its live part": f"/live{_ACCOUNT}{number}",
        "its events, a page on": f"{_ACCOUNT}?until={events - 50}",
        "its events, in the middle": f"{_ACCOUNT}?until={events // 2}",
        "its first events": f"{_ACCOUNT}?until=50",
        **steps,
        "the step of a time": f"{_ACCOUNT}/steps?at=2026-06-01T00:00:00",
        "read models": "/read-models",
        "stream": "/stream",
        "dead letters": "/dead-letters",
        "bridge": "/bridge",
        "activity": "/activity",
    }


def _screen(aws: Aws, server: Server, path: str, runs: int) -> dict[str, Any]:
    """The first request after a start, those while the history is read, and those afterwards."""
    browser = Browser(server.port)
    began = time.monotonic()
    cold = browser.open(path)
    reading: list[Page] = []
    if path.startswith((_ACCOUNT, f"/live{_ACCOUNT}")):
        while True:
            # A redirect has nothing read: the account's own page does.
            pages = [browser.open(path), browser.open(_ACCOUNT)]
            if not any(_READING in each.text for each in pages):
                break
            reading += pages
            if time.monotonic() - began > _PATIENCE:
                raise RuntimeError(f"{path} is not whole after {_PATIENCE} s")
            time.sleep(0.2)
    found = {
        "cold_millis": cold.server_millis,
        "cold_is_whole": _READING not in cold.text,
        "reading_max_millis": max((each.server_millis for each in reading), default=0.0),
        "whole_after_seconds": time.monotonic() - began if reading else 0.0,
    }
    before, calls, pages = server.cpu_seconds(), aws.so_far(), []
    for _ in range(runs):
        pages.append(browser.open(path))
        # As people click, and so that the live part does not stand still.
        time.sleep(0.1)
    millis = [each.server_millis for each in pages]
    browser.close()
    return found | {
        "p50_millis": statistics.median(millis),
        "max_millis": max(millis),
        "cpu_millis": (server.cpu_seconds() - before) / runs * 1000,
        "calls": sum(aws.so_far().since(calls).calls.values()) / runs,
        "kilobytes": len(pages[-1].text.encode()) / 1000,
    }


def _tabs(aws: Aws, server: Server, seconds: float, report: Callable[[str], None]) -> list[dict[str, Any]]:
    """What the console costs while nobody looks, and with 1 and 5 tabs of each live page."""
    found = []
    _wait_for_history(server)
    for name, path, count in [("none", "", 0), *((name, path, n) for name, path in _LIVE.items() for n in (1, 5))]:
        with contextlib.ExitStack() as opened:
            for number in range(count):
                opened.enter_context(Tab(server.port, path, after=number * 2 / count))
            time.sleep(5)
            cpu, calls, began = server.cpu_seconds(), aws.so_far(), time.monotonic()
            time.sleep(seconds)
            spent, elapsed = server.cpu_seconds() - cpu, time.monotonic() - began
            made = sum(aws.so_far().since(calls).calls.values())
        each = {"page": name, "tabs": count, "core": spent / elapsed, "calls_per_second": made / elapsed}
        report(f"{count} tabs of {name}: {each['core']:.2%} of a core, {each['calls_per_second']:.2f} calls a second")
        found.append(each)
    return found


def _wait_for_history(server: Server) -> None:
    browser = Browser(server.port)
    while _READING in browser.open(_ACCOUNT).text:
        time.sleep(0.2)
    browser.close()


@contextlib.contextmanager
def _console(aws: Aws, services: str) -> Iterator[Server]:
    # The SDK tells this name to AWS, which counts by it.
    settings = {"KINFOLD_CONSOLE_SERVICES": services, "AWS_SDK_UA_APP_ID": _CALLER}
    env = service_environment(aws.url, PROFILE, settings)
    with running("kinfold", ["console", "serve"], env, ready=lambda client: client.ask("GET", "/health")) as server:
        yield server
