"""Where Faust's web server listens: on a listener with limits, in place of asyncio's own accept loop."""

import socket
from typing import Any, cast

from aiohttp.web import BaseSite
from aiohttp.web_protocol import RequestHandler

from ledger.runtime.serving.listener import Awaited, Limits, Listener
from ledger.runtime.sockets import address


class ListenerSite(BaseSite):
    """A site on a socket that is bound."""

    def __init__(self, runner: Any, bound: socket.socket, limits: Limits) -> None:
        super().__init__(runner)
        self._bound = bound
        self._limits = limits

    @property
    def name(self) -> str:
        """Its URL."""
        return address(self._bound)

    async def start(self) -> None:
        """Listen."""
        await super().start()
        server = self._runner.server
        assert server is not None
        self._server = cast(Any, Listener(self._bound, server, _awaited, self._limits))


def _awaited(handler: RequestHandler) -> Awaited | None:
    """What a connection waits for. aiohttp shows it only in private attributes; the tests hold them to it."""
    if handler._request_count == 0:
        return Awaited.HEAD
    if handler._waiter is not None:
        return None if handler._waiter.done() else Awaited.HEAD
    request = handler._current_request
    # Without a request, it reads the rest of a body that was answered already.
    return Awaited.BODY if request is None or not request._payload.is_eof() else None
