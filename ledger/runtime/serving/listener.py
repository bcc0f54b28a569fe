"""Accepting connections for an HTTP server: how many at once, and how long a client may keep one waiting.

asyncio's own accept loop takes whatever comes: once the process is out of descriptors it accepts nobody, and logs a
traceback for each attempt, thousands in a row. Here a client that has been waited for longest makes room for the next
one, so that a service answers whoever holds its connections. Knows no HTTP: whoever speaks it says what it waits for.
"""

import asyncio
import errno
import heapq
import resource
import socket
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

import structlog

from ledger.errors import ConfigurationError

log = structlog.get_logger(__name__)

#: Descriptors beside the connections of clients and those to AWS: the log, event loops, pipes, certificates.
_OTHER_DESCRIPTORS: Final = 64
#: With fewer connections, the connections of a load balancer alone would push one another out.
_MIN_CONNECTIONS: Final = 16
#: Connections accepted in one turn of the event loop, and the kernel's queue before that.
_BURST: Final = 16
_BACKLOG: Final = 1024
#: The share of the connections that makes room at once: looking for the oldest costs a look at all.
_SHARE: Final = 16
#: Seconds that every client has to send what it began with, however many wait for room.
_MIN_WAIT: Final = 0.1
#: Seconds between two looks at all connections, and between two lines of the log.
_LOOK_INTERVAL: Final = 1.0
_LOG_INTERVAL: Final = 60.0
#: Seconds after its time for which a body is left to the app, which answers 408.
_ANSWER_TIME: Final = 2.0
_EXHAUSTED: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


class Awaited(Enum):
    """What a connection waits for its client to do."""

    HEAD = "to send the rest of a request's head"
    BODY = "to send the rest of a request's body"
    READING = "to read the response"
    REQUEST = "to send another request"


@dataclass(frozen=True, slots=True)
class Limits:
    """Connections at once, and the seconds for which a client may keep one waiting.

    A response has ``idle_timeout`` to be read.
    """

    connections: int
    head_timeout: float
    body_timeout: float
    idle_timeout: float

    def seconds(self, awaited: Awaited) -> float:
        """How long a client may take."""
        match awaited:
            case Awaited.HEAD:
                return self.head_timeout
            case Awaited.BODY:
                return self.body_timeout + _ANSWER_TIME
            case _:
                return self.idle_timeout


def connections_below_descriptors(wanted: int, own: int) -> int:
    """``wanted``, or as many as the process may have beside ``own`` descriptors of its own (RLIMIT_NOFILE).

    Raises ConfigurationError when that leaves hardly any.
    """
    descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = own + _OTHER_DESCRIPTORS
    if descriptors == resource.RLIM_INFINITY:
        return wanted
    if descriptors < needed + _MIN_CONNECTIONS:
        raise ConfigurationError(
            f"this process may open {descriptors} files and needs {needed} beside the connections of its clients: "
            f"allow it at least {needed + _MIN_CONNECTIONS} with `ulimit -n`"
        )
    return min(wanted, descriptors - needed)


#: What a connection's protocol waits for: HEAD before a whole head has come, also before any of it; BODY, also after
#: the response; None while the client waits for us.
Look = Callable[[Any], Awaited | None]


class _Connection(asyncio.Protocol):
    """Passes everything on to the protocol that serves the connection, and knows what it waits for and since when."""

    def __init__(self, served: asyncio.Protocol, look: Look, lost: Callable[["_Connection"], None], now: float) -> None:
        self.awaited: Awaited | None = Awaited.HEAD
        self.since = now
        self.transport: asyncio.Transport | None = None
        self._served = served
        self._look = look
        self._lost = lost
        self._unread = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._served.connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._served.connection_lost(exc)
        self._lost(self)

    def data_received(self, data: bytes) -> None:
        self._served.data_received(data)
        self.look(asyncio.get_running_loop().time(), got_data=True)

    def eof_received(self) -> bool | None:
        return self._served.eof_received()

    def pause_writing(self) -> None:
        self._unread = True
        self._served.pause_writing()

    def resume_writing(self) -> None:
        self._unread = False
        self._served.resume_writing()

    def look(self, now: float, *, got_data: bool = False) -> None:
        """Find out what is awaited now. Sending less than a whole head or body gives no client more time for it."""
        assert self.transport is not None
        found = Awaited.READING if self._unread or self.transport.is_closing() else self._look(self._served)
        if found is Awaited.HEAD and not got_data and self.awaited is not Awaited.HEAD:
            found = Awaited.REQUEST
        if found is not self.awaited:
            self.awaited, self.since = found, now

    def cut(self) -> None:
        """Close it at once, whatever is still to be written."""
        assert self.transport is not None
        self.transport.abort()


class Listener:
    """Serves a bound socket on the running event loop, with one protocol of ``factory`` for each connection.

    At ``limits.connections`` it closes those that have waited longest for their client; while none waits for its
    client, newcomers wait in the kernel's queue. Closes the connections of clients that exceed the times.
    """

    def __init__(
        self, bound: socket.socket, factory: Callable[[], asyncio.Protocol], look: Look, limits: Limits
    ) -> None:
        self._bound = bound
        self._factory = factory
        self._look = look
        self._limits = limits
        self._loop = asyncio.get_running_loop()
        self._connections: set[_Connection] = set()
        self._accepting: set[asyncio.Task[None]] = set()
        self._accepts = False
        self._cut: Counter[str] = Counter()
        self._log_after = 0.0
        self._closed = False
        bound.setblocking(False)
        bound.listen(_BACKLOG)
        self._resume()
        self._interval = min(_LOOK_INTERVAL, limits.head_timeout, limits.body_timeout, limits.idle_timeout)
        self._loop.call_later(self._interval, self._sweep)

    def close(self) -> None:
        """Accept nobody any more, and close the socket. The connections remain, and their times."""
        self._closed = True
        self._pause()
        self._bound.close()

    async def wait_closed(self) -> None:
        """Return at once: whoever serves the connections ends them."""

    def _resume(self) -> None:
        if not (self._closed or self._accepts):
            self._accepts = True
            self._loop.add_reader(self._bound, self._accept)

    def _pause(self) -> None:
        if self._accepts:
            self._accepts = False
            self._loop.remove_reader(self._bound)

    def _accept(self) -> None:
        room = self._limits.connections - len(self._connections)
        if room <= 0:
            self._make_room()
        for _ in range(min(_BURST, room)):
            try:
                client, _ = self._bound.accept()
            except OSError as error:
                if error.errno in _EXHAUSTED:
                    self._cut[errno.errorcode[error.errno]] += 1
                    self._make_room()
                return
            client.setblocking(False)
            connection = _Connection(self._factory(), self._look, self._lost, self._loop.time())
            self._connections.add(connection)
            task = self._loop.create_task(self._serve(connection, client))
            self._accepting.add(task)
            task.add_done_callback(self._accepting.discard)

    async def _serve(self, connection: _Connection, client: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(lambda: connection, client)
        except OSError:  # it is gone already
            client.close()
            self._lost(connection)

    def _lost(self, connection: _Connection) -> None:
        self._connections.discard(connection)
        self._resume()

    def _waiting(self) -> list[_Connection]:
        now = self._loop.time()
        open_ = [each for each in self._connections if each.transport is not None]
        for each in open_:
            each.look(now)
        return [each for each in open_ if each.awaited is not None]

    def _make_room(self) -> None:
        """Cut those that have waited longest for their client, and accept nobody until a connection is gone."""
        long = [each for each in self._waiting() if self._loop.time() - each.since >= _MIN_WAIT]
        share = max(1, len(self._connections) // _SHARE)
        for each in heapq.nsmallest(share, long, key=lambda each: each.since):
            self._cut["to make room"] += 1
            each.cut()
        self._pause()
        self._loop.call_later(_MIN_WAIT, self._resume)

    def _sweep(self) -> None:
        now = self._loop.time()
        for each in self._waiting():
            assert each.awaited is not None
            if now - each.since >= self._limits.seconds(each.awaited):
                if each.awaited is not Awaited.REQUEST:
                    self._cut[f"slow {each.awaited.name.lower()}"] += 1
                each.cut()
        if self._cut and now >= self._log_after:
            log.warning(
                "connections_cut",
                count=dict(self._cut),
                limit=self._limits.connections,
                action="if they are yours, raise KINFOLD_HTTP_CONNECTIONS and `ulimit -n`, or KINFOLD_HTTP_..._TIMEOUT",
            )
            self._cut.clear()
            self._log_after = now + _LOG_INTERVAL
        if not self._closed or self._connections:
            self._resume()
            self._loop.call_later(self._interval, self._sweep)
