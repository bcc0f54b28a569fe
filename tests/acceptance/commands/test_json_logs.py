"""KINFOLD_LOG_FORMAT=json: whatever a process of ours meets, every line on its standard error is JSON."""

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from betting.projections import PROJECTIONS
from faust_kinesis.leases.table import Lease, LeaseTable, lease_spec
from ledger.runtime.aws import Clients
from ledger.runtime.sockets import free_port
from ledger.store.event_store import EventStore
from ledger.store.tables import Names, ensure_table
from projector.engine.provisioning import prepare
from tests.support.accounts import deposit, poison
from tests.support.aws.tables import made_bridge
from tests.support.sources import QUICK_KCL_ENV
from tests.support.waiting import PATIENCE, until

pytestmark = [pytest.mark.integration, pytest.mark.acceptance]

SERVICES: Final = {
    "writer": ("writer", "serve"),
    "projector": ("projector", "run"),
    "relay": ("bridge", "relay"),
    "watch": ("bridge", "watch"),
}
#: What a stranger sends that is no request.
NOISE: Final = (b"\x16\x03\x01 hello\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"GET / HTTP/1.1\r\nHost: x\r\nbad\r\n\r\n")


def parsed(text: str) -> list[dict[str, Any]]:
    """The lines; a line that is no JSON object fails with the line."""
    found = []
    for line in text.splitlines():
        try:
            found.append(dict(json.loads(line)))
        except ValueError:
            pytest.fail(f"this line is no JSON: {line!r}")
    return found


class Running:
    """A service, and what it has written on standard error so far."""

    def __init__(self, command: tuple[str, ...], env: dict[str, str], log: Path) -> None:
        self.port, self._log = free_port(), log
        with log.open("wb") as stderr:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "kinfold", *command, "--port", str(self.port)], env=env, stderr=stderr
            )

    def lines(self) -> list[dict[str, Any]]:
        whole, _, _ = self._log.read_text().rpartition("\n")
        return parsed(whole)

    def says(self, event: str) -> bool:
        return any(line["event"] == event for line in self.lines())

    def answers(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=5).close()
        except OSError:
            return False
        return True

    def send(self, request: bytes) -> bytes:
        with socket.create_connection(("127.0.0.1", self.port), timeout=30) as connection:
            connection.sendall(request)
            return connection.recv(10_000)


@contextmanager
def running(command: tuple[str, ...], env: dict[str, str], log: Path) -> Iterator[Running]:
    service = Running(command, env | {"KINFOLD_LOG_FORMAT": "json", "PYTHONWARNINGS": "always"}, log)
    try:
        yield service
    finally:
        service.process.kill()
        service.process.wait()


@pytest.mark.parametrize("name", SERVICES)
def test_waiting_working_disturbed_and_stopped(
    name: str, child_env: dict[str, str], clients: Clients, names: Names, tmp_path: Path
) -> None:
    mode = {"KINFOLD_BRIDGE": "relay"} if name == "relay" else {}
    with running(SERVICES[name], child_env | mode, tmp_path / "log") as service:
        until(lambda: service.says("waiting"))
        made_bridge(clients, names, 1, "relay" if name == "relay" else "native")
        store = EventStore(clients.dynamodb, names.events)
        poison(clients.dynamodb, names.events, deposit(store, "alice")[0])
        until(service.answers)
        for request in NOISE:
            service.send(request)
        assert service.send(b"GET /accounts/alice HTTP/1.1\r\nHost: x\r\n\r\n").startswith(b"HTTP/1.1 ")
        if name == "projector":
            until(lambda: service.says("aggregate_halted"))
        service.process.send_signal(signal.SIGTERM)
        assert service.process.wait(60) == 0
        assert service.lines()


def test_a_projector_on_kcl(child_env: dict[str, str], clients: Clients, names: Names, tmp_path: Path) -> None:
    made_bridge(clients, names, 1)
    kcl = {"KINFOLD_CONSUMER": "kcl", "KINFOLD_WORKER_ID": "w", "KINFOLD_LOG_LEVEL": "debug", **QUICK_KCL_ENV}
    with running(SERVICES["projector"], child_env | kcl, tmp_path / "log") as service:
        until(lambda: any(line.get("action") == "kcl_said" for line in service.lines()))
        service.process.send_signal(signal.SIGTERM)
        assert service.process.wait(60) == 0
        assert service.lines()


@pytest.mark.parametrize(
    ("words", "env", "code", "reason"),
    [
        ("writer serve --port ninety", {}, 2, "--port"),
        ("writer sevre", {}, 2, "No such command"),
        ("projector run", {"KINFOLD_STORM_LIMIT": "many"}, 2, "KINFOLD_STORM_LIMIT"),
        ("bridge watch", {"AWS_ENDPOINT_URL": "http://127.0.0.1:9", "KINFOLD_ENDPOINT_TIMEOUT": "0"}, 75, "reaching"),
        ("bridge relay --host nowhere.invalid", {}, 2, "nowhere.invalid"),
    ],
)
def test_a_start_that_fails(words: str, env: dict[str, str], code: int, reason: str, child_env: dict[str, str]) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "kinfold", *words.split()],
        env=child_env | {"KINFOLD_LOG_FORMAT": "json", "PYTHONWARNINGS": "always"} | env,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    last = parsed(ended.stderr)[-1]
    assert (ended.returncode, last["event"], last["exit_code"]) == (code, "command_failed", code)
    assert reason in last["reason"]


@pytest.mark.parametrize(
    ("words", "code", "reason"),
    [
        ("", 2, "--help"),
        ("bridge", 2, "--help"),
        ("health http://127.0.0.1:1/", 1, "does not answer"),
        ("load --url http://127.0.0.1:1", 75, "no writer answers"),
        ("load --url http://[::x", 2, "--url"),
        ("demo --endpoint-url http://[::x", 2, "--endpoint-url"),
        ("up --writer-port 0x", 2, "--writer-port"),
    ],
)
def test_a_command_of_a_person_that_fails(words: str, code: int, reason: str, child_env: dict[str, str]) -> None:
    ended = run(words, child_env)
    last = parsed(ended.stderr)[-1]
    assert (ended.returncode, last["event"], last["exit_code"]) == (code, "command_failed", code)
    assert reason in last["reason"]


def test_a_load_a_demo_and_what_answers_no_health_check(
    child_env: dict[str, str], aws_endpoint: str, clients: Clients, names: Names, tmp_path: Path
) -> None:
    demo = run(f"demo --events 20 --aggregates 2 --endpoint-url {aws_endpoint}", child_env)
    assert demo.returncode == 0
    assert {line["event"] for line in parsed(demo.stderr)} - {"progress"} == {"told"}
    made_bridge(clients, names, 1)
    with running(SERVICES["writer"], child_env, tmp_path / "log") as writer:
        until(writer.answers)
        load = run(f"load --url http://127.0.0.1:{writer.port} --events 20 --aggregates 2", child_env)
        assert load.returncode == 0
        assert {line["event"] for line in parsed(load.stderr)} <= {"progress"}
        health = run(f"health http://127.0.0.1:{writer.port}/nothing", child_env)
        assert health.returncode == 1
        assert "answers 404" in parsed(health.stderr)[-1]["reason"]


def test_what_runs_all_shows_whose_line_each_is(child_env: dict[str, str], aws_endpoint: str, tmp_path: Path) -> None:
    words = (
        f"up --endpoint-url {aws_endpoint} --writer-port 0 --projector-port 0 --bridge-port 0 --console-port 0 --json"
    )
    with (tmp_path / "log").open("wb") as log:
        command = [sys.executable, "-m", "kinfold", *words.split()]
        env = child_env | {"KINFOLD_LOG_FORMAT": "json"}
        with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=log) as process:
            assert process.stdout is not None
            assert json.loads(process.stdout.readline())["writer"]
            process.send_signal(signal.SIGINT)
    assert process.returncode == 0
    lines = parsed((tmp_path / "log").read_text())
    assert {line.get("service") for line in lines} == {None, "bridge", "watch", "writer", "projector", "console"}
    assert {line["event"] for line in lines if "service" not in line} == {"told"}


def test_what_would_be_asked_is_refused(child_env: dict[str, str], clients: Clients, names: Names) -> None:
    made_bridge(clients, names, 1)
    assert run("bridge scale --retention 48", child_env).returncode == 0
    ended = run("bridge scale --retention 24", child_env)
    assert ended.returncode == 2
    assert "--yes" in parsed(ended.stderr)[-1]["reason"]


def run(words: str, env: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "kinfold", *words.split()],
        env=env | {"KINFOLD_LOG_FORMAT": "json"},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("bridge ensure", 0),
        ("bridge backfill --all", 0),
        ("bridge backfill --status", 0),
        ("projector status", 5),
        ("projector verify --wait 0", 5),
        ("projector rebuild --abort", 0),
        ("projector dead-letters redrive --aggregate alice", 0),
        ("projector generations drop balance-summary 9", 1),
        ("projector replay --from latest", 6),
    ],
)
def test_a_command_that_a_task_runs(
    words: str, code: int, child_env: dict[str, str], clients: Clients, names: Names
) -> None:
    """infra/ runs them with the services' settings, and their standard error goes where the services' goes."""
    made_bridge(clients, names, 1)
    prepare(clients.dynamodb, names, PROJECTIONS)
    ensure_table(clients.dynamodb, lease_spec(names.leases))
    leases = LeaseTable(clients.dynamodb, names.leases)
    leases.add(Lease("shardId-000000000000", "TRIM_HORIZON"))
    leases.take(leases.scan()["shardId-000000000000"], "somebody")
    deposit(EventStore(clients.dynamodb, names.events), "alice")
    ended = subprocess.run(
        [sys.executable, "-m", "kinfold", *words.split()],
        env=child_env | {"KINFOLD_LOG_FORMAT": "json", "KINFOLD_FAILOVER_TIME": "1"},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert ended.returncode == code, ended.stderr
    assert {line["event"] for line in parsed(ended.stderr)} <= {"told", "progress", "command_failed"}
