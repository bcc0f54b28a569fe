"""An idle server sleeps, and stops at once all the same; whatever event loop is installed beside it."""

import http.client
import sys
import threading
from types import ModuleType
from typing import Any

import pytest

from ledger.runtime.serving import asgi_server
from ledger.runtime.serving.asgi_server import AsgiServer
from ledger.runtime.serving.listener import Limits
from ledger.runtime.sockets import bind

LIMITS = Limits(connections=16, head_timeout=10, body_timeout=10, idle_timeout=75)


async def app(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body"})


def test_it_is_woken_to_stop_and_does_not_look_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    # uvicorn would take it where somebody has installed it, and the listener is one for asyncio's transports.
    monkeypatch.setitem(sys.modules, "uvloop", ModuleType("uvloop"))
    monkeypatch.setattr(asgi_server, "TICK", 3600.0)
    started = threading.Event()
    server = AsgiServer(app, LIMITS, lifespan="off", drain_timeout=3, on_start=started.set)
    with bind("127.0.0.1", 0) as bound:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]}, daemon=True)
        thread.start()
        assert started.wait(20)
        connection = http.client.HTTPConnection("127.0.0.1", bound.getsockname()[1], timeout=20)
        connection.request("GET", "/")
        assert connection.getresponse().status == 204
        connection.close()
        server.should_exit = True
        thread.join(20)
        assert not thread.is_alive()
