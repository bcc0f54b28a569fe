"""`kinfold up` and the services as real processes: signals, ports, deaths, bad settings, a late endpoint."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from kinfold.local.child import spawn, stop, tail
from kinfold.local.embedded_aws import local_aws
from kinfold.local.environment import service_environment
from kinfold.local.service import Service, ServiceDiedError, ServiceNotReadyError
from kinfold.local.stack import Stack
from ledger.errors import EndpointError
from ledger.runtime.aws import Clients
from ledger.runtime.sockets import free_port
from tests.support.documents.sessions import FIRST, LONGER, statuses
from tests.support.waiting import PATIENCE, until

pytestmark = [pytest.mark.acceptance, pytest.mark.integration]

Up = Callable[..., "subprocess.Popen[str]"]
ROOT = Path(__file__).parents[2]
SERVICES = {
    "bridge": ["bridge", "ensure"],
    "writer": ["writer", "serve", "--port", "0"],
    "projector": ["projector", "run"],
}


@pytest.fixture
def up(aws_endpoint: str, profile: str, clients: Clients, tmp_path: Path) -> Iterator[Up]:
    """Start `kinfold up` on the test's endpoint and free ports; whatever still runs in the end is killed."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("KINFOLD_")}
    ports = ["--writer-port", "0", "--projector-port", "0", "--bridge-port", "0", "--console-port", "0"]
    with ExitStack() as cleanup:

        def start(*more: str, arguments: list[str] = ports, as_json: bool = True) -> "subprocess.Popen[str]":
            command = [sys.executable, "-m", "kinfold", "up", *["--json"][:as_json], "--endpoint-url", aws_endpoint]
            command += ["--profile", profile, *arguments, *more]
            stderr = cleanup.enter_context((tmp_path / "up.stderr").open("w"))
            process = cleanup.enter_context(
                subprocess.Popen(
                    command, env=env, stdout=subprocess.PIPE, stderr=stderr, text=True, start_new_session=True
                )
            )
            cleanup.callback(process.kill)
            return process

        yield start


def announced(process: "subprocess.Popen[str]") -> dict[str, Any]:
    assert process.stdout is not None
    found: dict[str, Any] = json.loads(process.stdout.readline())
    return found


def said_until(end: str, process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    lines: list[str] = []
    while not lines or end not in lines[-1]:
        lines.append(process.stdout.readline())
        assert lines[-1], "it ended"
    return "".join(lines)


def answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health", trust_env=False, timeout=5).status_code == 200
    except httpx.TransportError:
        return False


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_up_serves_until_a_signal_and_stops_everything(up: Up, tmp_path: Path, number: signal.Signals) -> None:
    process = up()
    urls = announced(process)
    answer = httpx.post(
        f"{urls['writer']}/accounts/alice/deposits", json={"amount": "1.00", "currency": "EUR"}, trust_env=False
    )
    assert answer.status_code == 201, answer.text
    balance = httpx.get(f"{urls['projector']}/balances/alice?min_version=1&wait=20", trust_env=False, timeout=30)
    assert balance.status_code == 200, balance.text
    process.send_signal(number)
    assert process.wait(60) == 0
    assert not any(alive(pid) for pid in urls["pids"].values())
    assert not Path(urls["logs"]).exists()
    log = (tmp_path / "up.stderr").read_text()
    assert "writer    | " in log
    assert "stopped" in log.split("once more to kill")[1]
    assert "Traceback" not in log


def test_the_sessions_of_the_documents(up: Up) -> None:
    urls = announced(up())
    services = {"writer": urls["writer"], "projector": urls["projector"]}
    assert statuses(FIRST, ROOT, **services) == FIRST.answers
    assert statuses(LONGER, ROOT, **services, account="bob") == LONGER.answers


def test_a_second_ctrl_c_kills_what_hangs(up: Up) -> None:
    process = up()
    urls = announced(process)
    os.kill(urls["pids"]["projector"], signal.SIGSTOP)
    process.send_signal(signal.SIGINT)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(3)
    process.send_signal(signal.SIGINT)
    assert process.wait(15) == 0
    assert not any(alive(pid) for pid in urls["pids"].values())


def test_services_end_with_an_up_that_is_killed(up: Up) -> None:
    process = up()
    urls = announced(process)
    process.kill()
    process.wait()
    until(lambda: not answers(urls["writer"]) and not answers(urls["projector"]))


def test_a_service_that_dies_ends_up_with_its_name_and_log(up: Up, tmp_path: Path) -> None:
    process = up()
    urls = announced(process)
    os.kill(urls["pids"]["writer"], signal.SIGKILL)
    assert process.wait(60) == 1
    log = (tmp_path / "up.stderr").read_text()
    assert "kinfold: the writer was ended by signal 9" in log
    assert "serving" in log.split("the end of its log")[1]
    assert Path(urls["logs"], "writer.log").exists()
    assert not alive(urls["pids"]["projector"])


@pytest.mark.parametrize("option", ["--writer-port", "--projector-port", "--bridge-port", "--console-port"])
def test_a_taken_port_is_said_before_anything_starts(up: Up, tmp_path: Path, option: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        ports = {"--writer-port": "0", "--projector-port": "0", "--bridge-port": "0", "--console-port": "0"} | {
            option: str(taken.getsockname()[1])
        }
        process = up(arguments=[word for pair in ports.items() for word in pair])
        assert process.wait(PATIENCE) == 2
    log = (tmp_path / "up.stderr").read_text()
    assert f"port {ports[option]}: " in log
    assert option in log


def test_up_with_a_bad_profile_is_a_setting_that_cannot_be_used(up: Up, tmp_path: Path) -> None:
    assert up("--profile", "Not A Profile").wait(60) == 2
    assert "KINFOLD_PROFILE='Not A Profile'" in (tmp_path / "up.stderr").read_text()


def test_the_embedded_aws_starts_and_ends_with_up() -> None:
    command = [sys.executable, "-m", "kinfold", "up", "--json"]
    command += ["--writer-port", "0", "--projector-port", "0", "--bridge-port", "0", "--console-port", "0"]
    env = {name: value for name, value in os.environ.items() if name != "AWS_ENDPOINT_URL"}
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        urls = announced(process)
        assert answers(urls["aws"])
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
    assert not answers(urls["aws"])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_embedded_aws_alone_serves_until_a_signal(number: signal.Signals) -> None:
    command = [sys.executable, "-m", "kinfold", "aws", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = dict(word.split("=", 1) for word in process.stdout.readline().removeprefix("export ").split())
        url = f"{said['AWS_ENDPOINT_URL']}/_ministack"
        assert answers(url)
        process.send_signal(number)
        assert process.wait(30) == 0
    assert not answers(url)


def test_the_embedded_aws_alone_names_a_taken_port() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        command = [sys.executable, "-m", "kinfold", "aws", "--port", str(taken.getsockname()[1])]
        answer = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE)
    assert (answer.returncode, answer.stdout) == (2, "")
    assert "--port" in answer.stderr


def test_up_shows_a_command_of_its_domain_and_where_to_read_it(up: Up) -> None:
    process = up("--domain", "loyalty", as_json=False)
    shown = said_until("Ctrl-C stops everything", process)
    posted, read = (
        re.sub(r" \\\n +", " ", each) for each in re.findall(r"curl -s .*?(?=\n  curl|\n\n)", shown, re.DOTALL)
    )
    assert '"version":1' in subprocess.check_output(["bash", "-c", posted], text=True)
    assert '"points":' in subprocess.check_output(["bash", "-c", read], text=True)


def test_a_stack_restarts_its_projector_after_a_kill(
    aws_endpoint: str, profile: str, clients: Clients, tmp_path: Path
) -> None:
    with Stack(aws_endpoint, profile=profile, shards=2, log_dir=tmp_path) as stack:
        before = stack.projector.pid
        stack.projector.kill()
        assert not answers(stack.projector.url)
        stack.restart_projector()
        assert answers(stack.projector.url)
        assert stack.projector.pid != before
        stack.check()
        pids = [stack.writer.pid, stack.projector.pid]
    assert not any(alive(pid) for pid in pids)


def test_a_stack_on_a_silent_endpoint_says_so_and_leaves_nothing_running(profile: str, tmp_path: Path) -> None:
    endpoint, port = f"http://127.0.0.1:{free_port()}", free_port()
    env = {"KINFOLD_ENDPOINT_TIMEOUT": "1"}
    stack = Stack(endpoint, profile=profile, env=env, log_dir=tmp_path, writer_port=port)
    with pytest.raises(EndpointError, match=r"the bridge ended with exit code 75.*bridge.log"), stack:
        pass
    assert not answers(f"http://127.0.0.1:{port}")


def test_a_service_that_does_not_become_ready_gives_its_reason(profile: str, tmp_path: Path) -> None:
    port = free_port()
    env = service_environment(f"http://127.0.0.1:{free_port()}", profile)
    url = f"http://127.0.0.1:{port}"
    service = Service("writer", ["writer", "serve", "--port", str(port)], url=url, env=env, log=tmp_path / "writer.log")
    try:
        with pytest.raises(ServiceNotReadyError, match=r"the writer was not ready after 4 s: it does not answer"):
            service.wait_until_ready(4, print)
    finally:
        service.stop()
    with pytest.raises(ServiceDiedError, match="the end of its log"):
        service.check()


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_names_every_bad_setting_at_once(service: str, tmp_path: Path) -> None:
    bad = {
        "KINFOLD_PROFILE": "Has Spaces",
        "AWS_ENDPOINT_URL": "not a url",
        "KINFOLD_LOG_LEVEL": "loud",
        "KINFOLD_ENDPOINT_TIMEOUT": "-1",
    } | {
        "bridge": {"KINFOLD_SHARDS": "0", "KINFOLD_STREAM_ARN": "arn:nonsense"},
        "writer": {"KINFOLD_WRITER_THREADS": "none"},
        "projector": {"KINFOLD_BATCH_SIZE": "0"},
    }[service]
    answer = subprocess.run(
        [sys.executable, "-m", "kinfold", *SERVICES[service]],
        env={"PATH": os.environ["PATH"], **bad},
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert answer.returncode == 2, answer.stderr
    for name, value in bad.items():
        assert f"{name}={value!r}" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_services_wait_for_an_endpoint_that_comes_late(profile: str, tmp_path: Path) -> None:
    port = free_port()
    endpoint = f"http://127.0.0.1:{port}"
    logs = {name: tmp_path / f"{name}.log" for name in SERVICES}
    projector_port = str(free_port())
    with ExitStack() as cleanup:
        processes = {}
        for name, command in SERVICES.items():
            env = service_environment(endpoint, profile, {"KINFOLD_PROJECTOR_PORT": projector_port})
            processes[name] = spawn("kinfold", command, env=env, log=logs[name])
            cleanup.callback(stop, processes[name], 40)

        def all_say(word: str) -> Callable[[], bool]:
            return lambda: all(word in log.read_text() for log in logs.values() if log.exists())

        until(all_say(endpoint), why=lambda: str({name: tail(log) for name, log in logs.items()}))
        assert [process.poll() for process in processes.values()] == [None, None, None]
        cleanup.enter_context(local_aws(port))
        assert processes["bridge"].wait(60) == 0, tail(logs["bridge"])
        until(lambda: "serving" in logs["writer"].read_text(), why=lambda: tail(logs["writer"]))
        until(lambda: answers(f"http://127.0.0.1:{projector_port}"), why=lambda: tail(logs["projector"]))
        # The services stop before the endpoint does.
        for name in ("projector", "writer"):
            assert stop(processes[name], 40) == 0, tail(logs[name])


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_gives_up_on_an_endpoint_that_never_comes(service: str, profile: str) -> None:
    env = service_environment(f"http://127.0.0.1:{free_port()}", profile, {"KINFOLD_ENDPOINT_TIMEOUT": "1"})
    answer = subprocess.run(
        [sys.executable, "-m", "kinfold", *SERVICES[service]],
        env=env,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert answer.returncode == 75, answer.stderr
    assert "does not answer" in answer.stderr
