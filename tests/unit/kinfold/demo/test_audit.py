"""The proof at the end of a demo: what it finds, what it waits for, and what ends it."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast
from urllib.parse import urlsplit

import pytest

from betting.account_type import ACCOUNT
from betting.projections.balance_summary import BALANCE_SUMMARY
from kinfold.demo.audit import audit, disagreements
from kinfold.testing import project
from kinfold.testing.history import History
from kinfold.testing.memory import MemoryEvents
from ledger.errors import EndpointError
from ledger.runtime.sockets import free_port
from ledger.store.event_store import EventStore
from tests.support.accounts import rising_deposits

ACCOUNTS = {f"acc-{number}": 1 + number % 5 for number in range(40)}
#: Status and body of the projector's answer for an account.
Answer = Callable[[str], tuple[int, Any]]


def stored() -> EventStore:
    histories = [History.of(ACCOUNT, rising_deposits(count), aggregate_id=name) for name, count in ACCOUNTS.items()]
    return cast(EventStore, MemoryEvents(histories))


def right(account: str) -> tuple[int, Any]:
    rows = project(BALANCE_SUMMARY, *rising_deposits(ACCOUNTS[account]), aggregate_id=account)
    return 200, json.loads(json.dumps(BALANCE_SUMMARY.page(rows.head, [])))


@contextmanager
def projector(answer: Answer) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            status, found = answer(urlsplit(self.path).path.rpartition("/")[2])
            body = json.dumps(found).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is inherited
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


def test_every_aggregate_is_compared_and_a_wrong_one_is_named() -> None:
    def answer(account: str) -> tuple[int, Any]:
        status, body = right(account)
        return status, {**body, "balance": "1000000.00"} if account == "acc-7" else body

    confirmed = ACCOUNTS | {"acc-9": ACCOUNTS["acc-9"] + 1}
    with projector(answer) as url:
        audits = audit(stored(), [BALANCE_SUMMARY], url, confirmed, lambda: None)
    assert [(each.aggregate_id, each.stored) for each in audits] == list(ACCOUNTS.items())
    wrong, lost = disagreements(audits)
    assert (wrong.aggregate_id, "1000000.00" in wrong.difference) == ("acc-7", True)
    assert (lost.aggregate_id, lost.confirmed - lost.stored, lost.difference) == ("acc-9", 1, "")


def test_what_is_behind_is_waited_for() -> None:
    asked: dict[str, int] = dict.fromkeys(ACCOUNTS, 0)

    def answer(account: str) -> tuple[int, Any]:
        asked[account] += 1
        return right(account) if asked[account] > 3 else (503, {"version": asked[account]})

    with projector(answer) as url:
        audits = audit(stored(), [BALANCE_SUMMARY], url, ACCOUNTS, lambda: None)
    assert not disagreements(audits)
    assert set(asked.values()) == {4}


def test_what_progress_raises_ends_it_though_nothing_ever_catches_up() -> None:
    looks = 0

    def look() -> None:
        nonlocal looks
        looks += 1
        if looks == 3:
            raise KeyboardInterrupt

    with projector(lambda _: (503, {"version": 0})) as url, pytest.raises(KeyboardInterrupt):
        audit(stored(), [BALANCE_SUMMARY], url, ACCOUNTS, look)
    assert looks == 3


def test_a_projector_that_is_gone_is_named() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(EndpointError, match=f"the projector at {url} does not answer"):
        audit(stored(), [BALANCE_SUMMARY], url, ACCOUNTS, lambda: None)
