"""The listener by itself, on real sockets: who is accepted, who is cut, and when."""

import asyncio
import contextlib
import errno
import resource
import socket
from collections.abc import AsyncIterator, Iterator, MutableMapping
from dataclasses import replace
from typing import Any, Final

import pytest
import structlog
from structlog.testing import capture_logs

from ledger.errors import ConfigurationError
from ledger.runtime.serving.listener import Awaited, Limits, Listener, connections_below_descriptors
from ledger.runtime.sockets import bind
from tests.support.waiting import eventually

SLOW: Final = 60.0
LIMITS: Final = Limits(connections=4, head_timeout=SLOW, body_timeout=SLOW, idle_timeout=SLOW)


class Spoken(asyncio.Protocol):
    """Knows what it awaits by the last byte it got: h(ead), b(ody), or anything else for a request being answered."""

    def __init__(self) -> None:
        self.state: Awaited | None = Awaited.HEAD
        self.transport: asyncio.Transport | None = None
        self.lost: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.state = {b"h": Awaited.HEAD, b"b": Awaited.BODY}.get(data[-1:])
        if self.transport and data == b"large":
            self.transport.write(b"x" * 20_000_000)

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.set_result(exc)


class Server:
    """A listener, and what it made for each connection."""

    def __init__(self, bound: socket.socket, limits: Limits) -> None:
        self.bound = bound
        self.made: list[Spoken] = []
        self.listener = Listener(bound, self._make, lambda protocol: protocol.state, limits)

    def _make(self) -> Spoken:
        self.made.append(Spoken())
        return self.made[-1]


@pytest.fixture
async def bound() -> AsyncIterator[socket.socket]:
    with bind("127.0.0.1", 0) as taken:
        yield taken


@contextlib.asynccontextmanager
async def serving(bound: socket.socket, limits: Limits = LIMITS) -> AsyncIterator[Server]:
    server = Server(bound, limits)
    yield server
    server.listener.close()
    for each in server.made:
        if each.transport:
            each.transport.abort()


@contextlib.contextmanager
def clients(bound: socket.socket, count: int, first: bytes = b"") -> Iterator[list[socket.socket]]:
    with contextlib.ExitStack() as stack:
        made = []
        for _ in range(count):
            client = stack.enter_context(socket.create_connection(bound.getsockname(), timeout=20))
            client.setblocking(False)
            client.send(first)
            made.append(client)
        yield made


def is_cut(client: socket.socket) -> bool:
    try:
        return client.recv(1_000_000) == b""
    except BlockingIOError:
        return False
    except ConnectionError:
        return True


async def all_cut(found: list[socket.socket]) -> None:
    for client in found:
        await eventually(lambda: is_cut(client))  # noqa: B023


@pytest.mark.parametrize(
    ("first", "more", "limits"),
    [
        (b"", b"", replace(LIMITS, head_timeout=0.2)),
        (b"h", b"h", replace(LIMITS, head_timeout=0.2)),
        (b"b", b"b", replace(LIMITS, body_timeout=0.2)),
        (b"large", b"", replace(LIMITS, idle_timeout=0.2)),
    ],
    ids=["silent", "head", "body", "unread response"],
)
async def test_a_client_that_keeps_it_waiting_is_cut_however_little_it_still_sends(
    bound: socket.socket, first: bytes, more: bytes, limits: Limits
) -> None:
    async with serving(bound, limits) as server:
        with clients(bound, 2, first) as (stranger, other):

            def gone() -> bool:
                with contextlib.suppress(OSError):
                    stranger.send(more)
                return len(server.made) == 2 and all(each.lost.done() for each in server.made)

            await eventually(gone)
            other.close()


async def test_a_request_that_is_being_answered_has_all_the_time_it_needs(bound: socket.socket) -> None:
    short = Limits(connections=4, head_timeout=0.05, body_timeout=0.05, idle_timeout=0.05)
    async with serving(bound, short) as server:
        with clients(bound, 1, b"answer me") as (reader,), clients(bound, 1) as strangers:
            await all_cut(strangers)
            await asyncio.sleep(0.3)
            assert not is_cut(reader)
            server.made[0].state = Awaited.HEAD
            await all_cut([reader])


async def test_a_next_request_has_the_time_of_idling_before_it_and_that_of_its_head_once_it_begins(
    bound: socket.socket,
) -> None:
    limits = replace(LIMITS, head_timeout=0.2)
    async with serving(bound, limits) as server:
        with clients(bound, 1, b"answer me") as (client,):
            await eventually(lambda: bool(server.made) and server.made[0].state is None)
            server.made[0].state = Awaited.HEAD
            with clients(bound, 1) as strangers:
                await all_cut(strangers)
            assert not is_cut(client)
            client.send(b"h")
            await all_cut([client])


async def test_at_the_bound_the_one_that_waited_longest_makes_room(bound: socket.socket) -> None:
    async with serving(bound) as server:
        with clients(bound, 4) as first:
            await eventually(lambda: len(server.made) == 4)
            first[0].send(b"answer me")
            await eventually(lambda: server.made[0].state is None)
            with clients(bound, 2, b"answer me") as newcomers:
                await eventually(lambda: [each.state for each in server.made[4:]] == [None, None])
                assert [is_cut(each) for each in first] == [False, True, True, False]
                assert not any(map(is_cut, newcomers))


async def test_while_all_are_being_answered_a_newcomer_waits_its_turn(bound: socket.socket) -> None:
    async with serving(bound) as server:
        with clients(bound, 4, b"answer me") as busy, clients(bound, 1, b"answer me") as (newcomer,):
            await eventually(lambda: [each.state for each in server.made] == [None] * 4)
            await asyncio.sleep(0.3)
            assert len(server.made) == 4
            assert not any(map(is_cut, busy))
            busy[0].close()
            await eventually(lambda: len(server.made) == 5 and server.made[4].state is None)
            assert not is_cut(newcomer)


async def test_nobody_makes_room_before_what_it_sent_could_be_read(bound: socket.socket) -> None:
    bound.listen(100)
    with clients(bound, 40, b"answer me") as all_at_once:
        async with serving(bound) as server:
            for served in range(40):
                await eventually(lambda: len(server.made) > served and server.made[served].state is None)  # noqa: B023
                assert not is_cut(all_at_once[served])
                all_at_once[served].close()


@pytest.fixture
def lines() -> Iterator[list[MutableMapping[str, Any]]]:
    with capture_logs(processors=(structlog.contextvars.merge_contextvars,)) as found:
        yield found


async def test_without_a_descriptor_it_waits_for_one_and_says_so_once(
    bound: socket.socket, lines: list[MutableMapping[str, Any]], caplog: pytest.LogCaptureFixture
) -> None:
    bound.listen(100)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with clients(bound, 40, b"answer me") as waiting:
        resource.setrlimit(resource.RLIMIT_NOFILE, (waiting[-1].fileno() + 6, hard))
        try:
            async with serving(bound, replace(LIMITS, connections=1000, head_timeout=0.3)) as server:
                await eventually(lambda: len(lines) == 1)
                assert 0 < len(server.made) < 40
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
                await eventually(lambda: len(server.made) == 40)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert not any(map(is_cut, waiting[:1]))
    [line] = lines
    assert (line["event"], line["limit"]) == ("connections_cut", 1000)
    assert line["count"].keys() == {errno.errorcode[errno.EMFILE]}
    assert "ulimit -n" in line["action"]
    assert caplog.records == []


async def test_what_it_cuts_is_one_line_a_minute(bound: socket.socket, lines: list[MutableMapping[str, Any]]) -> None:
    async with serving(bound, replace(LIMITS, connections=1000, head_timeout=0.1)):
        for _ in range(3):
            with clients(bound, 50) as strangers:
                await all_cut(strangers)
    [line] = lines
    assert line["count"].keys() == {"slow head"}


async def test_closing_ends_accepting_and_leaves_the_connections_their_times(bound: socket.socket) -> None:
    async with serving(bound, replace(LIMITS, head_timeout=0.2)) as server:
        with clients(bound, 1, b"answer me") as (busy,), clients(bound, 1) as strangers:
            await eventually(lambda: len(server.made) == 2)
            server.listener.close()
            await server.listener.wait_closed()
            server.listener.close()
            await all_cut(strangers)
            assert not is_cut(busy)


def test_the_bound_is_below_the_descriptors(monkeypatch: pytest.MonkeyPatch) -> None:
    def allow(soft: int) -> None:
        monkeypatch.setattr(resource, "getrlimit", lambda _: (soft, resource.RLIM_INFINITY))

    allow(256)
    assert connections_below_descriptors(1000, 40) == 152
    assert connections_below_descriptors(100, 40) == 100
    allow(resource.RLIM_INFINITY)
    assert connections_below_descriptors(1000, 40) == 1000
    allow(100)
    with pytest.raises(ConfigurationError, match=r"may open 100 files and needs 104 .* at least 120 with `ulimit -n`"):
        connections_below_descriptors(1000, 40)
