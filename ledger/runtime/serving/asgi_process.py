"""The process around an ASGI app: a listening socket, uvicorn, and an orderly end."""

import signal
import socket
from collections.abc import Callable
from types import FrameType

from starlette.types import ASGIApp

from ledger.runtime.serving.asgi_server import AsgiServer
from ledger.runtime.serving.garbage_collection import collect_seldom
from ledger.runtime.serving.listener import Limits
from ledger.runtime.sockets import listen
from ledger.runtime.start_signals import STOP_SIGNALS, end_the_start


def serve_until_stopped(
    app: ASGIApp, bound: socket.socket, limits: Limits, *, drain_timeout: int, on_start: Callable[[], None]
) -> None:
    """Serve until SIGTERM or SIGINT, then answer what was accepted, for at most ``drain_timeout`` seconds.

    ``on_start`` is called once connections are accepted.

    Raises ConfigurationError when another process has begun to listen there.
    """
    listen(bound)
    api = AsgiServer(app, limits, lifespan="on", drain_timeout=drain_timeout, on_start=on_start)

    def handle(number: int, frame: FrameType | None) -> None:
        # uvicorn raises its signals again after it has drained.
        if not api.should_exit:
            end_the_start(number, frame)

    for number in STOP_SIGNALS:
        signal.signal(number, handle)
    collect_seldom()
    api.run(sockets=[bound])
