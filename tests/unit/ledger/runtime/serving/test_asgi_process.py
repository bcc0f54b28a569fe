"""What a process does before it serves."""

import subprocess
import sys

_SERVE = """
import gc, os, signal, sys
from ledger.runtime.serving.asgi_process import serve_until_stopped
from ledger.runtime.serving.listener import Limits
from ledger.runtime.sockets import bind


async def app(scope, receive, send):
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.complete"})


def started():
    print(gc.get_freeze_count() > 10_000, gc.get_threshold()[0] > 10_000, flush=True)
    os.kill(os.getpid(), signal.SIGTERM)


limits = Limits(connections=16, head_timeout=10, body_timeout=10, idle_timeout=75)
with bind("127.0.0.1", 0) as bound:
    serve_until_stopped(app, bound, limits, drain_timeout=3, on_start=started)
"""


def test_the_garbage_collector_looks_seldom_and_at_nothing_that_is_loaded() -> None:
    ended = subprocess.run([sys.executable, "-c", _SERVE], capture_output=True, text=True, check=False, timeout=60)
    assert ended.stdout == "True True\n", ended.stderr
