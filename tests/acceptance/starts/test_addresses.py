"""Where the services listen: every address that can be had, and one line for every other."""

import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import httpx
import pytest

from kinfold.local.environment import service_environment
from kinfold.local.service import Service
from ledger.runtime.sockets import free_port
from tests.support.processes import listening
from tests.support.waiting import PATIENCE, until

pytestmark = [pytest.mark.integration, pytest.mark.acceptance]

SERVICES: Final = {
    "writer": ("writer", "serve"),
    "projector": ("projector", "run"),
    "relay": ("bridge", "relay"),
    "watch": ("bridge", "watch"),
}
PORT: Final = {
    "writer": "KINFOLD_WRITER_PORT",
    "projector": "KINFOLD_PROJECTOR_PORT",
    "relay": "KINFOLD_BRIDGE_PORT",
    "watch": "KINFOLD_BRIDGE_PORT",
}
each_service = pytest.mark.parametrize("name", SERVICES)
#: What a service without an endpoint says while it waits for one.
WAITS: Final = "waiting for http"


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Service]]:
    """Start a service of profile local on an endpoint that does not answer; all are stopped."""
    env = service_environment(f"http://127.0.0.1:{free_port()}", "local", {"KINFOLD_ACCESS": "tokens"})
    started: list[Service] = []

    def started_with(name: str, *arguments: str, **more: str) -> Service:
        log = tmp_path / f"{name}-{len(started)}.log"
        service = Service(name, [*SERVICES[name], *arguments], url="", env=env | more, log=log)
        started.append(service)
        return service

    yield started_with
    for service in started:
        service.stop()


def refusal(service: Service) -> str:
    """What a service that cannot start says; it has ended with exit code 2 and without a traceback."""
    assert until(lambda: service.exit_code, lambda code: code is not None) == 2, service.log.read_text()
    said = service.log.read_text()
    assert "Traceback" not in said
    return said


def one_line(said: str) -> str:
    (line,) = said.splitlines()
    assert line.startswith("kinfold: cannot listen on ")
    assert line.endswith("--host and --port")
    return line


@each_service
def test_a_port_that_is_none_is_refused_as_an_argument_and_as_a_setting(
    start: Callable[..., Service], name: str
) -> None:
    assert "'--port': Input should be less than or equal to 65535" in refusal(start(name, "--port", "99999"))
    assert f"{PORT[name]}='99999'" in refusal(start(name, **{PORT[name]: "99999"}))


@each_service
def test_an_address_that_cannot_be_had_is_said_before_it_waits_for_anything(
    start: Callable[..., Service], name: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = one_line(refusal(start(name, "--port", str(port))))
        assert f"127.0.0.1 port {port}: Address already in use" in said
    for host in ("203.0.113.1", "no-such-host.invalid", "a..b", ""):
        assert f"listen on {host or repr('')} port" in one_line(refusal(start(name, "--host", host, "--port", "0")))


@each_service
def test_of_two_that_wait_on_one_port_the_second_is_told_at_once(start: Callable[..., Service], name: str) -> None:
    port = str(free_port())
    first = start(name, "--port", port)
    until(lambda: WAITS in first.log.read_text(), why=first.log.read_text)
    assert f"port {port}: Address already in use" in one_line(refusal(start("writer", "--port", port)))
    assert f"port {port}: Address already in use" in one_line(refusal(start(name, "--port", port)))
    assert first.exit_code is None


@each_service
@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_who_would_be_open_to_others_is_told_before_it_waits_for_anything(
    start: Callable[..., Service], name: str, host: str
) -> None:
    said = refusal(start(name, "--host", host, "--port", "0"))
    assert f"this is profile local on {host}" in said
    assert "KINFOLD_TOKENS" in said


@each_service
@pytest.mark.parametrize("host", ["::1", "localhost", "127.0.0.2"])
def test_a_service_listens_on_the_address_it_is_given_and_on_no_other(
    bridge: None, start: Callable[..., Service], child_env: dict[str, str], name: str, host: str
) -> None:
    service = start(name, "--host", host, "--port", "0", **child_env)
    until(lambda: "serving" in service.log.read_text() or service.exit_code is not None)
    assert service.exit_code is None, service.log.read_text()
    ((address, port),) = listening(service.pid)
    assert address == host.replace("localhost", "127.0.0.1")
    url = f"http://[{address}]:{port}" if ":" in address else f"http://{address}:{port}"
    assert url in service.log.read_text()

    def status() -> int:
        return httpx.get(f"{url}/ready", trust_env=False, timeout=60).status_code

    until(status, lambda code: code == 200, why=service.log.read_text)
    assert service.stop() == 0, service.log.read_text()


def test_up_refuses_one_port_for_two_services_before_anything_starts(
    start_kinfold: Callable[..., "subprocess.Popen[str]"],
) -> None:
    port = str(free_port())
    process = start_kinfold("up", "--writer-port", port, "--bridge-port", port, "--projector-port", "0", "--no-console")
    _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == 2
    assert said.startswith(f"kinfold: cannot listen on 127.0.0.1 port {port}: Address already in use; ")
    assert "--bridge-port" in said
    assert len(said.splitlines()) == 1
