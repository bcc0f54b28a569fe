"""The process around the app: a listening socket, uvicorn, and an orderly end."""

import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from fastapi import FastAPI

from ledger.runtime.serving.asgi_server import AsgiServer
from ledger.runtime.serving.listener import Limits
from ledger.runtime.sockets import listen

_STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def serve(
    app: FastAPI, bound: socket.socket, limits: Limits, *, drain_timeout: int, on_start: Callable[[], None]
) -> None:
    """Serve until SIGTERM or SIGINT, then answer what was accepted, for at most ``drain_timeout`` seconds.

    ``on_start`` is called once connections are accepted.

    Raises ConfigurationError when another process has begun to listen there.
    """
    listen(bound)
    with _signals_handled(_ignore):
        AsgiServer(app, limits, lifespan="on", drain_timeout=drain_timeout, on_start=on_start).run(sockets=[bound])


@contextmanager
def signals_end_the_process() -> Iterator[None]:
    """In the block, SIGTERM and SIGINT end the process with exit code 0: no request was accepted that could be lost."""
    with _signals_handled(_exit):
        yield


@contextmanager
def _signals_handled(handler: "signal._HANDLER") -> Iterator[None]:
    before = {number: signal.signal(number, handler) for number in _STOP_SIGNALS}
    try:
        yield
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)


def _exit(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
    raise SystemExit(0)


def _ignore(number: int, frame: FrameType | None) -> None:
    """Swallow the signal that uvicorn raises again after it has drained."""
