"""The process around the app: a listening socket, uvicorn, and an orderly end."""

import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import uvicorn
from fastapi import FastAPI

from ledger.errors import ConfigurationError

_STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def listen(host: str, port: int) -> socket.socket:
    """Open the listening socket; port 0 takes a free one. Raises ConfigurationError when it cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        raise ConfigurationError(
            f"cannot listen on {host} port {port}: {error.strerror or error}; choose another with --host and --port"
        ) from error


def address(listening: socket.socket) -> str:
    """The URL of a listening socket."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def serve(app: FastAPI, listening: socket.socket, *, drain_timeout: int) -> None:
    """Serve until SIGTERM or SIGINT, then answer what was accepted, for at most ``drain_timeout`` seconds."""
    config = uvicorn.Config(
        app,
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=drain_timeout,
    )
    with _signals_handled(_noted):
        uvicorn.Server(config).run(sockets=[listening])


@contextmanager
def signals_end_the_process() -> Iterator[None]:
    """In the block, SIGTERM and SIGINT end the process with exit code 0: nothing was accepted that could be lost."""
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


def _noted(number: int, frame: FrameType | None) -> None:
    """Uvicorn drains on a signal and then raises it again, for a handler such as this to end the matter."""
