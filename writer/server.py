"""The process around the app: a listening socket, uvicorn, and an orderly end."""

import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

import uvicorn
from fastapi import FastAPI

from ledger.runtime.sockets import listen

#: Bytes of a request's head after which the connection is cut; the app answers 431 to smaller ones than this.
_MAX_HEAD: Final = 32_768
_STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, on_start: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_start = on_start

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_start()


def serve(app: FastAPI, bound: socket.socket, *, drain_timeout: int, on_start: Callable[[], None]) -> None:
    """Serve until SIGTERM or SIGINT, then answer what was accepted, for at most ``drain_timeout`` seconds.

    ``on_start`` is called once connections are accepted.

    Raises ConfigurationError when another process has begun to listen there.
    """
    listen(bound)
    config = uvicorn.Config(
        app,
        lifespan="on",
        http="h11",
        h11_max_incomplete_event_size=_MAX_HEAD,
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=drain_timeout,
    )
    with _signals_handled(_ignore):
        _Server(config, on_start).run(sockets=[bound])


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
