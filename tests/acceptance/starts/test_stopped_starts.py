"""SIGTERM and Ctrl-C at every moment of a service's start: it ends at once, with exit code 0 and a line of the log."""

import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from kinfold.local.service import Service
from tests.support.waiting import PATIENCE, until

pytestmark = [pytest.mark.integration, pytest.mark.acceptance]

SERVICES: Final = {
    "writer": ("writer", "serve"),
    "projector": ("projector", "run"),
    "relay": ("bridge", "relay"),
    "watch": ("bridge", "watch"),
}
each_service = pytest.mark.parametrize("name", SERVICES)
each_signal = pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
#: Sends the process a signal when it comes to a place: the import of a module, or the call of a function.
SENDER: Final = """
import importlib, importlib.abc, os, sys
import kinfold.cli
module, function, number = sys.argv.pop(1), sys.argv.pop(1), int(sys.argv.pop(1))
class Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == module:
            os.kill(os.getpid(), number)
if function:
    of = importlib.import_module(module)
    *outer, name = function.split(".")
    for each in outer:
        of = getattr(of, each)
    called = getattr(of, name)
    def sending(*args, **more):
        os.kill(os.getpid(), number)
        return called(*args, **more)
    setattr(of, name, sending)
else:
    sys.meta_path.insert(0, Finder())
kinfold.cli.main()
"""
#: Of everything that a start goes through.
PLACES: Final = [
    *(("writer", module, "") for module in ("writer.cli", "uvicorn", "botocore.credentials")),
    ("writer", "uvicorn", "Server.serve"),
    ("writer", "uvicorn", "Server.startup"),
    *(("projector", module, "") for module in ("projector.cli", "faust", "botocore.credentials")),
    ("projector", "faust", "Worker.execute_from_commandline"),
    ("projector", "faust", "Worker.on_first_start"),
    ("projector", "faust", "App.on_start"),
    ("projector", "faust_kinesis.transport", "Consumer.on_start"),
    *(("relay", module, "") for module in ("stream_bridge.cli", "botocore.credentials")),
    ("relay", "asyncio", "run"),
    ("relay", "stream_bridge.relay.daemon", "build_relay"),
    *(("watch", module, "") for module in ("stream_bridge.cli", "botocore.credentials")),
    ("watch", "asyncio", "run"),
    ("watch", "stream_bridge.watch.daemon", "Watch.run"),
]


def stopped(service: Service, number: signal.Signals, log: Path) -> None:
    service._process.send_signal(number)
    assert until(lambda: service.exit_code, lambda code: code is not None) == 0, log.read_text()
    said = log.read_text().splitlines()
    assert [line for line in said if "stopped" in line] == said[-1:]
    assert not [line for line in said if "Traceback" in line]


@each_service
@each_signal
def test_while_it_waits_for_tables(start_service: Callable[..., Service], name: str, number: signal.Signals) -> None:
    service = start_service(*SERVICES[name], ready=False)
    until(lambda: "waiting for table" in service.log.read_text())
    stopped(service, number, service.log)


@each_service
def test_while_it_waits_for_an_endpoint_that_nobody_has(start_service: Callable[..., Service], name: str) -> None:
    service = start_service(*SERVICES[name], ready=False, AWS_ENDPOINT_URL="http://127.0.0.1:1")
    until(lambda: "waiting for http" in service.log.read_text())
    stopped(service, signal.SIGTERM, service.log)


@each_service
def test_while_it_waits_for_an_answer(start_service: Callable[..., Service], name: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        service = start_service(*SERVICES[name], ready=False, AWS_ENDPOINT_URL=url)
        asked, _ = silent.accept()
        with asked:
            stopped(service, signal.SIGTERM, service.log)


@pytest.mark.parametrize(("name", "module", "function"), PLACES)
def test_at_a_place_of_its_start(
    bridge: None, child_env: dict[str, str], name: str, module: str, function: str
) -> None:
    command = [sys.executable, "-c", SENDER, module, function, str(int(signal.SIGTERM)), *SERVICES[name]]
    mode = {"KINFOLD_BRIDGE": "relay"} if name == "relay" else {}
    ended = subprocess.run(
        [*command, "--port", "0"], env=child_env | mode, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert "Traceback" not in ended.stderr
    assert "stopped" in ended.stderr.splitlines()[-1]
