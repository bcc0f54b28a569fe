"""The projector and what it needs, as real processes on the test's endpoint."""

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kinfold.local.service import Service
from ledger.runtime.aws import Clients
from ledger.runtime.sockets import free_port
from ledger.store.tables import Names
from tests.support.aws.tables import made_bridge
from tests.support.waiting import PATIENCE


@pytest.fixture(scope="session", autouse=True)
def interruptible() -> None:
    """A shell's background job ignores Ctrl-C, and what the tests start would inherit that."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def bridge(clients: Clients, names: Names) -> None:
    """Tables, a stream of four shards and the destination."""
    assert made_bridge(clients, names, 4).healthy


@pytest.fixture
def start_kinfold(child_env: dict[str, str]) -> Callable[..., subprocess.Popen[str]]:
    """Start ``kinfold ...``, with ``env`` on top, without waiting for it."""

    def start(*arguments: str, **env: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "kinfold", *arguments],
            env=child_env | env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start


@pytest.fixture
def kinfold(start_kinfold: Callable[..., subprocess.Popen[str]]) -> Callable[..., tuple[int, str, str]]:
    """Run ``kinfold ...``; gives exit code, standard output and standard error."""

    def run(*arguments: str, **env: str) -> tuple[int, str, str]:
        process = start_kinfold(*arguments, **env)
        out, err = process.communicate(timeout=PATIENCE)
        return process.returncode, out, err

    return run


@pytest.fixture
def start_service(child_env: dict[str, str], tmp_path: Path) -> Iterator[Callable[..., Service]]:
    """Start ``kinfold COMMAND`` as a process on a free port, with ``env`` on top, ready or not; all are stopped."""
    started: list[Service] = []

    def start(*command: str, ready: bool = True, **env: str) -> Service:
        port, name = free_port(), command[0] if command[0] != "bridge" else command[1]
        service = Service(
            name,
            [*command, "--port", str(port)],
            url=f"http://127.0.0.1:{port}",
            env=child_env | env,
            log=tmp_path / f"{name}-{len(started)}.log",
        )
        started.append(service)
        if ready:
            service.wait_until_ready(60, print)
        return service

    yield start
    for service in started:
        service.stop()


@pytest.fixture
def start_projector(bridge: None, start_service: Callable[..., Service]) -> Callable[..., Service]:
    """Start a projector process, ready or not."""

    def start(worker_id: str = "worker-1", *, ready: bool = True) -> Service:
        settings = {"KINFOLD_WORKER_ID": worker_id, "KINFOLD_FAILOVER_TIME": "3"}
        return start_service("projector", "run", ready=ready, **settings)

    return start
