"""The writer as a process: real sockets, real signals."""

import http.client
import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from typing import Any
from urllib.parse import urlsplit

import pytest

from ledger.store.event_store import EventStore
from ledger.store.tables import Names
from tests.support.waiting import PATIENCE

pytestmark = [pytest.mark.integration, pytest.mark.acceptance]

BODY = b'{"amount": "5.00", "currency": "EUR"}'
HEADERS = {"Content-Type": "application/json"}


class Writer:
    """``kinfold writer serve`` on a free port, its log read line by line."""

    def __init__(self, env: dict[str, str]) -> None:
        command = [sys.executable, "-m", "kinfold", "writer", "serve", "--port", "0"]
        self.process = subprocess.Popen(
            command, env=env | {"KINFOLD_LOG_FORMAT": "json"}, stderr=subprocess.PIPE, text=True
        )

    def until(self, event: str) -> dict[str, Any]:
        """The next log line of that name."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            entry: dict[str, Any] = json.loads(line)
            if entry["event"] == event:
                return entry
        raise AssertionError(f"the writer ended without a line {event!r}")

    def rest(self) -> list[dict[str, Any]]:
        assert self.process.stderr is not None
        return [json.loads(line) for line in self.process.stderr]


@pytest.fixture
def writer(child_env: dict[str, str]) -> Iterator[Writer]:
    writer = Writer(child_env)
    yield writer
    writer.process.kill()
    writer.process.wait()
    assert writer.process.stderr is not None
    writer.process.stderr.close()


def connect(writer: Writer) -> tuple[str, int]:
    url = urlsplit(writer.until("serving")["url"])
    assert url.hostname is not None
    assert url.port is not None
    return url.hostname, url.port


def listens(address: tuple[str, int]) -> bool:
    try:
        socket.create_connection(address, timeout=20).close()
    except (ConnectionRefusedError, ConnectionResetError):
        return False
    return True


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_an_accepted_request_end_and_exits_0(
    writer: Writer, ledger_tables: Names, store: EventStore, number: signal.Signals
) -> None:
    address = connect(writer)
    with (
        closing(http.client.HTTPConnection(*address)) as idle,
        socket.create_connection(address, timeout=20) as accepted,
    ):
        idle.request("GET", "/health")
        assert idle.getresponse().read() == b'{"status":"ok"}'
        accepted.sendall(
            b"POST /accounts/alice/deposits HTTP/1.1\r\nHost: w\r\nContent-Type: application/json\r\n"
            b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(BODY)
        )
        assert accepted.recv(100).startswith(b"HTTP/1.1 100 ")
        writer.process.send_signal(number)
        while listens(address):  # until the signal has been taken
            pass
        accepted.sendall(BODY)
        assert accepted.recv(10_000).startswith(b"HTTP/1.1 201 ")
    assert writer.process.wait(20) == 0
    assert store.version("alice").number == 1
    [command] = [line for line in writer.rest() if line["event"] == "command"]
    assert (command["aggregate"], command["outcome"], command["version"]) == ("alice", "accepted", 1)


def test_a_signal_while_it_waits_for_its_table_exits_0(writer: Writer) -> None:
    assert "domain-events-" in writer.until("waiting")["reason"]
    writer.process.send_signal(signal.SIGTERM)
    assert writer.process.wait(20) == 0


@pytest.mark.parametrize("in_chunks", [False, True])
def test_a_client_that_sends_10_mb_gets_its_answer(writer: Writer, ledger_tables: Names, in_chunks: bool) -> None:
    # http.client does not look for an answer once its connection breaks while it is sending.
    with closing(http.client.HTTPConnection(*connect(writer), timeout=20)) as connection:
        body: Any = iter([b"x" * 100_000] * 100) if in_chunks else b"x" * 10_000_000
        connection.request("POST", "/accounts/alice/deposits", body, HEADERS, encode_chunked=in_chunks)
        answer = connection.getresponse()
        assert (answer.status, answer.headers["content-type"]) == (413, "application/problem+json")
        assert json.loads(answer.read())["status"] == 413


def test_a_taken_port_is_exit_2_with_a_message(child_env: dict[str, str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ended = subprocess.run(
            [sys.executable, "-m", "kinfold", "writer", "serve", "--port", port],
            env=child_env,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
    assert ended.returncode == 2
    assert f"port {port}" in ended.stderr
    assert "Traceback" not in ended.stderr
