"""The HTTP edge on real sockets: how long a client may keep each service waiting, and what it is told."""

import asyncio
import contextlib
import http.client
import json
import logging
import os
import socket
import threading
import time
from collections.abc import Iterator, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

import pytest
from aiohttp.web import Response

from betting import RESOURCES
from ledger.runtime.auth import Access
from ledger.runtime.aws import Clients
from ledger.runtime.problems import SECURITY_HEADERS
from ledger.runtime.serving.asgi_server import AsgiServer
from ledger.runtime.sockets import bind
from ledger.store.idempotency_keys import IdempotencyKeys
from ledger.store.snapshots import SnapshotStore
from ledger.store.table_identity import TableGuard, TableIdentities
from ledger.store.tables import Names
from projector.app import build_app
from projector.settings import ProjectorSettings
from stream_bridge.daemon_http import serving
from stream_bridge.settings import BridgeDaemonSettings
from tests.support.waiting import until
from tests.unit.http_edge.conftest import CREDENTIALS, Daemon
from tests.unit.writer.conftest import MemoryStore
from writer.commands.aggregate_repository import AggregateRepository
from writer.commands.snapshot_writer import SnapshotWriter
from writer.http.app import build_api
from writer.metrics import Metrics
from writer.settings import WriterSettings

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from starlette.types import Receive, Scope, Send

    from ledger.store.event_store import EventStore

SETTINGS: Final = {
    "profile": "unit",
    "endpoint_url": "http://127.0.0.1:1",
    "region": "us-east-1",
    "tokens": ",".join(map(str, CREDENTIALS)),
    "http_connections": 16,
    "http_head_timeout": 0.4,
    "http_body_timeout": 0.4,
    "http_idle_timeout": 0.8,
}
LARGE: Final = b"x" * 20_000_000


@dataclass(frozen=True)
class Service:
    """Where a running service listens, and where it reads a body."""

    port: int
    post: str = "/ready"

    def head(self, method: str, path: str, *headers: str, token: str | None = "kf_all") -> bytes:
        """The head of a request."""
        lines = [f"{method} {path} HTTP/1.1", "Host: x", *headers]
        if token:
            lines.append(f"Authorization: Bearer {token}")
        return "\r\n".join([*lines, "", ""]).encode()

    def stalled_body(self, token: str | None = "kf_all") -> bytes:
        """A request without the end of its body."""
        headers = ("Content-Type: application/json", "Content-Length: 1000", "X-Correlation-ID: order-4711")
        return self.head("POST", self.post, *headers, token=token) + b"{"

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=20)

    def http(self, timeout: float = 20) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)


@contextlib.contextmanager
def served(app: Any, *, lifespan: Any) -> Iterator[int]:
    started = threading.Event()
    limits = BridgeDaemonSettings.model_validate(SETTINGS).limits(0)
    server = AsgiServer(app, limits, lifespan=lifespan, drain_timeout=3, on_start=started.set)
    with bind("127.0.0.1", 0) as bound:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]})
        thread.start()
        assert started.wait(20)
        try:
            yield bound.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join(20)


@contextlib.contextmanager
def writer() -> Iterator[Service]:
    store = MemoryStore()
    keys = IdempotencyKeys(cast("DynamoDBClient", store.commands), "commands", retention=60)
    accounts = AggregateRepository(
        cast("EventStore", store), SnapshotWriter(cast("SnapshotStore", None), Metrics(), interval=0)
    )
    api = build_api(RESOURCES, accounts, keys, WriterSettings.model_validate(SETTINGS), Access(CREDENTIALS), Metrics())
    with served(api, lifespan="on") as port:
        yield Service(port, "/accounts/alice/deposits")


@contextlib.contextmanager
def projector() -> Iterator[Service]:
    settings = ProjectorSettings.model_validate(SETTINGS)
    started, stopped = threading.Event(), threading.Event()
    access, bound = settings.claim("127.0.0.1", 0)
    port = bound.getsockname()[1]
    built = build_app(settings, Clients(settings), access, bound)

    class NobodyIsThere:
        def get(self, _: str) -> None:
            return None

    built.components.models.active = lambda _: NobodyIsThere()  # type: ignore[method-assign,assignment,return-value]
    web = cast(Any, built.faust.web)

    async def large(_: object) -> Response:
        return Response(body=LARGE)

    async def serve() -> None:
        web.web_app.router.add_get("/large", large)
        web.init_server()
        await web.start_server()
        started.set()
        await asyncio.to_thread(stopped.wait)
        await web.stop_server()

    with ThreadPoolExecutor(1) as thread:
        ended = thread.submit(asyncio.run, serve())
        try:
            assert started.wait(20)
            yield Service(port, "/dead-letters/balance-summary~alice~1/skip")
        finally:
            stopped.set()
            ended.result(70)
    built.executor.shutdown()


@contextlib.contextmanager
def bridge() -> Iterator[Service]:
    bound = bind("127.0.0.1", 0)
    settings = BridgeDaemonSettings.model_validate(SETTINGS)
    guard = TableGuard(TableIdentities(cast("DynamoDBClient", None), Names("unit")))
    with serving(Daemon(), Access(CREDENTIALS), bound, settings.limits(0), guard):
        yield Service(bound.getsockname()[1])


@contextlib.contextmanager
def plain_asgi() -> Iterator[Service]:
    async def large(_: "Scope", __: "Receive", send: "Send") -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": LARGE, "more_body": True})
        await send({"type": "http.response.body", "body": LARGE})

    with served(large, lifespan="off") as port:
        yield Service(port)


@pytest.fixture(params=[writer, projector, bridge], ids=lambda service: service.__name__)
def service(request: pytest.FixtureRequest) -> Iterator[Service]:
    with request.param() as running:
        yield running


def sockets_of(client: socket.socket) -> Iterator[socket.socket]:
    """The sockets of this process that are connected to the client's: the one that a service accepted."""
    for name in os.listdir("/dev/fd"):
        with contextlib.suppress(OSError), socket.socket(fileno=os.dup(int(name))) as found:
            if found.getpeername() == client.getsockname():
                yield found


def test_no_answer_on_a_kept_connection_waits_for_an_acknowledgement(service: Service) -> None:
    def at_once() -> list[int]:
        with closing(service.http()) as http:
            http.request("GET", "/health")
            http.getresponse().read()
            return [each.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) for each in sockets_of(http.sock)]

    # A machine that stands still for a second finds the connection closed.
    [nodelay] = until(at_once)
    assert nodelay


def until_cut(client: socket.socket, trickle: bytes = b"") -> bytes:
    """What is received until the service closes the connection, while the client sends a little again and again."""
    received = b""
    client.settimeout(0.05)
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            chunk = client.recv(65536)
        except TimeoutError:
            with contextlib.suppress(ConnectionError):
                client.sendall(trickle)
            continue
        except ConnectionResetError:
            return received
        if not chunk:
            return received
        received += chunk
    raise AssertionError(f"not closed after 30 s; got {received!r}")


@pytest.mark.parametrize("trickle", [b"", b"a"], ids=["stalled", "trickling"])
def test_a_head_that_does_not_end_is_cut_without_an_answer(service: Service, trickle: bytes) -> None:
    with service.connect() as client:
        client.sendall(service.head("GET", "/health")[:-2] + b"X-A: ")
        assert until_cut(client, trickle) == b""


@pytest.mark.parametrize("service", [writer, projector], ids=lambda service: service.__name__, indirect=True)
@pytest.mark.parametrize("trickle", [b"", b"a"], ids=["stalled", "trickling"])
def test_a_body_that_does_not_end_is_answered_408_and_the_connection_is_closed(
    service: Service, trickle: bytes, log_lines: list[MutableMapping[str, Any]], caplog: pytest.LogCaptureFixture
) -> None:
    with service.connect() as client:
        client.sendall(service.stalled_body())
        head, _, body = until_cut(client, trickle).partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    assert status.startswith("HTTP/1.1 408 ")
    assert (headers["content-type"], headers["connection"]) == ("application/problem+json", "close")
    assert headers.items() >= {name.lower(): value for name, value in SECURITY_HEADERS.items()}.items()
    problem = json.loads(body)
    assert (problem["type"], problem["correlationId"]) == ("urn:kinfold:problem:request-timeout", "order-4711")
    assert "0.4 s" in problem["detail"]
    assert [line for line in log_lines if line["event"] not in {"connections_cut", "serving"}] == []
    assert caplog.records == []


@pytest.mark.parametrize("trickle", [b"", b"a"], ids=["stalled", "trickling"])
def test_what_is_answered_before_its_body_is_there_does_not_keep_the_connection(
    service: Service, trickle: bytes
) -> None:
    with service.connect() as client:
        client.sendall(service.stalled_body(token=None))
        assert until_cut(client, trickle).startswith(b"HTTP/1.1 401 ")


def test_an_idle_connection_is_closed_with_nothing_said(service: Service) -> None:
    with closing(service.http()) as kept:
        kept.request("GET", "/health")
        assert kept.getresponse().read() == b'{"status":"ok"}'
        assert until_cut(kept.sock) == b""


def test_a_kept_connection_in_use_is_kept(service: Service) -> None:
    with closing(service.http()) as kept:
        kept.connect()
        first = kept.sock
        for _ in range(15):
            kept.request("GET", "/health")
            assert kept.getresponse().read() == b'{"status":"ok"}'
            assert kept.sock is first
            time.sleep(0.1)


@pytest.mark.parametrize("service", [plain_asgi, projector], ids=lambda service: service.__name__, indirect=True)
def test_a_response_that_nobody_reads_is_given_up(service: Service, caplog: pytest.LogCaptureFixture) -> None:
    with service.connect() as client:
        client.sendall(service.head("GET", "/large"))
        time.sleep(1.5)
        assert len(until_cut(client)) < len(LARGE)
    assert caplog.records == []


@pytest.mark.parametrize("first", [b"", b"GET / HTTP/1.1\r\nHo", b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"])
def test_whoever_holds_its_connections_a_newcomer_is_answered(service: Service, first: bytes) -> None:
    with contextlib.ExitStack() as strangers:
        for _ in range(50):
            strangers.enter_context(service.connect()).sendall(first)
        with closing(service.http()) as newcomer:
            newcomer.request("GET", "/health")
            assert newcomer.getresponse().status == 200


@pytest.mark.parametrize("service", [writer, projector], ids=lambda service: service.__name__, indirect=True)
def test_a_client_that_goes_in_the_middle_of_its_body_is_no_failure(
    service: Service, log_lines: list[MutableMapping[str, Any]], caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3):
        with service.connect() as client:
            client.sendall(service.stalled_body())
    with contextlib.ExitStack() as strangers:
        for _ in range(50):
            strangers.enter_context(service.connect()).sendall(service.stalled_body())
    with closing(service.http()) as other:
        other.request("GET", "/health")
        assert other.getresponse().status == 200
    assert [line for line in log_lines if line["event"] not in {"connections_cut", "serving"}] == []
    assert [each for each in caplog.records if each.levelno >= logging.WARNING] == []


@pytest.mark.parametrize("service", [writer, projector], ids=lambda service: service.__name__, indirect=True)
def test_a_body_that_is_not_compressed_as_it_says_is_refused_and_no_failure(
    service: Service, log_lines: list[MutableMapping[str, Any]], caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3):
        with closing(service.http()) as client:
            headers = {"Content-Encoding": "gzip", "Content-Type": "application/json", "Authorization": "Bearer kf_all"}
            client.request("POST", service.post, b"no gzip", headers)
            assert client.getresponse().status == 415
    assert [line for line in log_lines if line["event"] not in {"connections_cut", "serving"}] == []
    assert [each for each in caplog.records if each.levelno >= logging.WARNING] == []


def test_a_reader_that_waits_for_its_version_is_not_cut_and_leaves_room_for_others() -> None:
    with projector() as service:
        path = "/balances/alice?min_version=1&wait="
        with contextlib.ExitStack() as stack:
            for _ in range(40):
                # None of these is answered before a probe has given up.
                stack.enter_context(service.connect()).sendall(service.head("GET", f"{path}20"))
                with closing(service.http(timeout=15)) as probe:
                    probe.request("GET", "/health")
                    assert probe.getresponse().status == 200
            reader = stack.enter_context(service.connect())
            reader.sendall(service.head("GET", f"{path}1", "Connection: close"))
            answer = until_cut(reader)
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b"\r\nRetry-After: 1\r\n" in answer
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["type"] == "urn:kinfold:problem:not-there-yet"


def test_a_wait_is_longer_than_the_times_of_a_request() -> None:
    with projector() as service, closing(service.http()) as reader:
        began = time.monotonic()
        reader.request("GET", "/balances/alice?min_version=1&wait=2", headers={"Authorization": "Bearer kf_all"})
        until(lambda: time.monotonic() - began > 1.0)
        with contextlib.ExitStack() as strangers:
            for _ in range(50):
                strangers.enter_context(service.connect())
            answer = reader.getresponse()
        assert (answer.status, json.loads(answer.read())["type"]) == (503, "urn:kinfold:problem:not-there-yet")
        assert time.monotonic() - began > 1.5
