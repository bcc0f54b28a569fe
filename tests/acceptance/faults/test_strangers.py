"""Strangers without a token who hold connections to a service of 256 descriptors: it answers, and lets go of them."""

import contextlib
import resource
import select
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

import httpx
import pytest

from kinfold.local.service import Service
from ledger.runtime.auth import Credential, Principal, Scope, digest
from tests.support.waiting import until

pytestmark = [pytest.mark.integration, pytest.mark.acceptance]

DESCRIPTORS: Final = 256
STRANGERS: Final = 300
SETTINGS: Final = {
    "KINFOLD_ACCESS": "tokens",
    "KINFOLD_TOKENS": str(Credential(Principal("ops", frozenset(Scope)), digest("kf_ops"))),
    "KINFOLD_HTTP_HEAD_TIMEOUT": "2",
    "KINFOLD_HTTP_BODY_TIMEOUT": "2",
    "KINFOLD_HTTP_IDLE_TIMEOUT": "2",
    "KINFOLD_BRIDGE": "relay",
}
#: Bytes that a log may take for all that the strangers do.
MAX_LOG: Final = 10_000


@dataclass(frozen=True)
class Kind:
    """What a stranger sends at first, and then again and again, a little at a time."""

    first: bytes
    trickle: bytes = b""


POST: Final = b"POST /accounts/alice/deposits HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
KINDS: Final = {
    "silent": Kind(b""),
    "unfinished head": Kind(b"GET /accounts/alice HTTP/1.1\r\nHost: x\r\nX-A: "),
    "trickling head": Kind(b"GET /accounts/alice HTTP/1.1\r\nHost: x\r\nX-A: ", b"a"),
    "blank lines": Kind(b"\r\n", b"\r\n"),
    "stalled body": Kind(POST + b"Content-Length: 1000\r\n\r\n"),
    "trickling body": Kind(POST + b"Content-Length: 1000\r\n\r\n", b"a"),
    "trickling chunks": Kind(POST + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\na\r\n"),
    "idle": Kind(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"),
    "no HTTP": Kind(b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n"),
}


@contextlib.contextmanager
def few_descriptors() -> Iterator[None]:
    """What is started in the block may open ``DESCRIPTORS`` files."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (DESCRIPTORS, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


@contextlib.contextmanager
def strangers(service: Service, kind: Kind) -> Iterator[list[socket.socket]]:
    url = urlsplit(service.url)
    with contextlib.ExitStack() as stack:
        sockets = []
        for _ in range(STRANGERS):
            stranger = stack.enter_context(socket.create_connection((url.hostname, url.port), timeout=20))
            stranger.setblocking(False)
            sockets.append(stranger)
            send(stranger, kind.first)
        yield sockets


def send(stranger: socket.socket, data: bytes) -> None:
    with contextlib.suppress(OSError):  # cut meanwhile
        stranger.send(data)


def still_open(sockets: list[socket.socket], trickle: bytes) -> int:
    """How many the service still holds, after each has sent a little more."""
    readable = select.poll()
    for stranger in sockets:
        send(stranger, trickle)
        readable.register(stranger, select.POLLIN)
    ready = {number for number, _ in readable.poll(0)}
    return sum(stranger.fileno() not in ready or not is_cut(stranger) for stranger in sockets)


def is_cut(stranger: socket.socket) -> bool:
    try:
        while stranger.recv(65536):
            pass
    except BlockingIOError:
        return False
    except OSError:
        pass
    return True


@pytest.mark.parametrize("command", [("writer", "serve"), ("projector", "run"), ("bridge", "relay")], ids=" ".join)
def test_strangers_hold_nothing_for_longer_than_the_settings_say(
    bridge: None, start_service: Callable[..., Service], command: tuple[str, str]
) -> None:
    with few_descriptors():
        service = start_service(*command, ready=False, **SETTINGS)
    with httpx.Client(base_url=service.url, trust_env=False, timeout=10) as http:
        until(lambda: _answers(service))
        written = service.log.stat().st_size
        for name, kind in KINDS.items():
            with strangers(service, kind) as sockets:
                # On a new connection each time, as a probe has it.
                assert httpx.get(f"{service.url}/health", trust_env=False, timeout=10).status_code == 200, name
                until(lambda: still_open(sockets, kind.trickle), lambda left: left == 0)  # noqa: B023
            assert http.get("/health").status_code == 200, name
            assert service.log.stat().st_size - written < MAX_LOG, f"{name}: {service.log.read_text()[-4000:]}"
    text = service.log.read_text()
    assert "Too many open files" not in text
    assert service.stop() == 0


def _answers(service: Service) -> bool:
    try:
        return httpx.get(f"{service.url}/health", trust_env=False, timeout=5).is_success
    except httpx.TransportError:
        return False
