"""The web server on a socket that the composition root has bound."""

import socket
from typing import Any

import faust
import structlog
from aiohttp.web import AppRunner
from faust.web.drivers.aiohttp import Web

from ledger.runtime.auth import Access
from ledger.runtime.serving.listener import Limits
from ledger.runtime.sockets import address, listen
from projector.http.site import ListenerSite

log = structlog.get_logger(__name__)


class Server(Web):
    """Faust's web server. No setting of Faust's chooses another address than the one that access was judged by."""

    #: Of "Starting..." and the like; where it serves is logged below.
    mundane_level = "debug"

    def __init__(self, app: faust.App, bound: socket.socket, access: Access, limits: Limits, **options: Any) -> None:
        super().__init__(app, **options)
        # A body that says it is compressed is refused as it stands: what is none would be a traceback.
        self._runner = AppRunner(self.web_app, access_log=None, auto_decompress=False)
        self._bound = bound
        self._limits = limits
        self._access = access

    async def start_server(self) -> None:
        """Listen and serve. Raises ConfigurationError when another process has begun to listen there."""
        await self._runner.setup()
        listen(self._bound)
        await ListenerSite(self._runner, self._bound, self._limits).start()
        log.info("serving", url=address(self._bound), access="open" if self._access.open else "tokens")
