"""uvicorn as our ASGI services run it: on a listener with limits, and silent but for warnings."""

import asyncio
import contextlib
import socket
from collections.abc import Callable
from typing import Any, Final, Literal, cast

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from ledger.runtime.serving.listener import Awaited, Limits, Listener

#: Bytes of a request's head after which the connection is cut; the app answers 431 to smaller ones than this.
_MAX_HEAD: Final = 32_768
#: Seconds for uvicorn's own keep-alive timer, which must not be faster than the listener.
_NEVER: Final = 10**6
#: Seconds between two ticks: the response header Date has seconds.
TICK: Final = 1.0


class AsgiServer(uvicorn.Server):
    """Serves ``app``; ``on_start`` is called once connections are accepted.

    Stops as uvicorn does, and leaves the signals alone off the main thread; what was accepted is then answered, for at
    most ``drain_timeout`` seconds.
    """

    _should_exit = False
    _loop: asyncio.AbstractEventLoop | None = None

    def __init__(
        self,
        app: ASGIApp,
        limits: Limits,
        *,
        lifespan: Literal["on", "off"],
        drain_timeout: int,
        on_start: Callable[[], None],
    ) -> None:
        super().__init__(
            uvicorn.Config(
                cast(Any, app),
                # Named, since uvicorn would take uvloop and httptools where anything has installed them.
                loop="asyncio",
                http="h11",
                ws="none",
                h11_max_incomplete_event_size=_MAX_HEAD,
                lifespan=lifespan,
                log_config=None,
                log_level="warning",
                access_log=False,
                server_header=False,
                timeout_keep_alive=_NEVER,
                timeout_graceful_shutdown=drain_timeout,
            )
        )
        self._limits = limits
        self._on_start = on_start

    @property
    def should_exit(self) -> bool:
        """Whether the server is to stop. Set by signal handlers, and from any thread."""
        return self._should_exit

    @should_exit.setter
    def should_exit(self, value: bool) -> None:
        self._should_exit = value
        if value and self._loop is not None:
            self._loop.call_soon_threadsafe(self._woken.set)

    async def main_loop(self) -> None:
        """Serve until it is to stop. uvicorn's own looks ten times a second, which is most of what idling costs."""
        self._woken = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        while not await self.on_tick(0):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), TICK)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen on ``sockets``, which are bound."""
        await super().startup(sockets=[])
        for bound in sockets or ():
            self.servers.append(cast(Any, Listener(bound, self._protocol, _awaited, self._limits)))
        self._on_start()

    def _protocol(self) -> H11Protocol:
        return H11Protocol(self.config, self.server_state, self.lifespan.state)


def _awaited(protocol: H11Protocol) -> Awaited | None:
    """What a connection waits for, by the state of its client (h11): IDLE is before a whole head, DONE after a body."""
    if protocol.conn.their_state is h11.IDLE:
        return Awaited.HEAD
    return Awaited.BODY if protocol.conn.their_state is h11.SEND_BODY else None
