"""The projector and what it needs, as real processes on the test's endpoint."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kinfold.ports import free_port
from kinfold.service import Service
from ledger.aws import Clients


@pytest.fixture
def bridge(child_env: dict[str, str], clients: Clients) -> None:
    """Tables, a stream of four shards and the destination, by the command that makes them."""
    command = [sys.executable, "-m", "kinfold", "bridge", "ensure", "--shards", "4"]
    subprocess.run(command, env=child_env, check=True, capture_output=True, timeout=120)


@pytest.fixture
def start_kinfold(child_env: dict[str, str]) -> Callable[..., subprocess.Popen[str]]:
    """Start ``kinfold ...`` without waiting for it."""

    def start(*arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "kinfold", *arguments],
            env=child_env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start


@pytest.fixture
def kinfold(start_kinfold: Callable[..., subprocess.Popen[str]]) -> Callable[..., tuple[int, str, str]]:
    """Run ``kinfold ...``; gives exit code, standard output and standard error."""

    def run(*arguments: str) -> tuple[int, str, str]:
        process = start_kinfold(*arguments)
        out, err = process.communicate(timeout=120)
        return process.returncode, out, err

    return run


@pytest.fixture
def start_projector(bridge: None, child_env: dict[str, str], tmp_path: Path) -> Iterator[Callable[..., Service]]:
    """Start a projector process, ready or not; all are stopped in the end."""
    started: list[Service] = []

    def start(worker_id: str = "worker-1", *, ready: bool = True) -> Service:
        port = free_port()
        env = child_env | {"KINFOLD_WORKER_ID": worker_id, "KINFOLD_FAILOVER_TIME": "3"}
        service = Service(
            "projector",
            ["projector", "run", "--port", str(port)],
            url=f"http://127.0.0.1:{port}",
            env=env,
            log=tmp_path / f"projector-{len(started)}.log",
        )
        started.append(service)
        if ready:
            service.wait_until_ready(30, print)
        return service

    yield start
    for service in started:
        service.stop()
