"""`kinfold up` whose services ask for tokens: it becomes ready, and each command without one says what it lacks."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any, NamedTuple

import httpx
import pytest

from kinfold.demo.disposable import delete_profile, disposable_profile
from kinfold.local.environment import service_clients
from ledger.runtime.auth import Credential, Principal, Scope, digest
from tests.support.waiting import until

pytestmark = [pytest.mark.acceptance, pytest.mark.integration]

PORTS = ("--writer-port", "0", "--projector-port", "0", "--bridge-port", "0", "--console-port", "0")
TOKEN = "kf_of-whoever-may-do-all"
GUARDED = {
    "KINFOLD_ACCESS": "tokens",
    "KINFOLD_TOKENS": str(Credential(Principal("ann", frozenset(Scope)), digest(TOKEN))),
}


class Up(NamedTuple):
    env: dict[str, str]
    announced: dict[str, Any]

    def kinfold(self, *words: str, token: str = "") -> tuple[int, str, str]:
        """Run a command in the second terminal."""
        answer = subprocess.run(
            [sys.executable, "-m", "kinfold", *words],
            env=self.env | ({"KINFOLD_TOKEN": token} if token else {}),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        return answer.returncode, answer.stdout, answer.stderr


@pytest.fixture(scope="module")
def up(aws_endpoint: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    home, profile = tmp_path_factory.mktemp("guarded"), disposable_profile("test-")
    env = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "KINFOLD_"))}
    env |= {"HOME": str(home), "KINFOLD_PROFILE": profile, "PYTHONUNBUFFERED": "1"}
    with ExitStack() as cleanup:
        cleanup.callback(lambda: delete_profile(service_clients(aws_endpoint, profile), profile))
        command = [sys.executable, "-m", "kinfold", "up", "--json", "--endpoint-url", aws_endpoint, *PORTS]
        log = cleanup.enter_context((home / "up.log").open("w"))
        process = cleanup.enter_context(
            subprocess.Popen(command, env=env | GUARDED, stdout=subprocess.PIPE, stderr=log, text=True)
        )
        cleanup.callback(process.kill)
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, (home / "up.log").read_text()
        yield Up(env, json.loads(line))
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
        said = (home / "up.log").read_text()
        assert TOKEN not in said
        assert "kf_" not in said


@pytest.mark.parametrize("service", ["writer", "projector", "watch", "console"])
def test_its_services_ask_for_a_token_and_are_ready(up: Up, service: str) -> None:
    ready = f"{up.announced[service]}/ready"
    assert httpx.get(ready, trust_env=False).status_code == 401
    signed = httpx.get(ready, headers={"Authorization": f"Bearer {TOKEN}"}, trust_env=False)
    assert signed.status_code == 200, signed.text


def test_its_console_is_told_the_services_metrics(up: Up) -> None:
    with httpx.Client(base_url=up.announced["console"], trust_env=False, follow_redirects=True) as browser:
        browser.post("/sign-in", data={"token": TOKEN}, headers={"Origin": up.announced["console"]})
        page = until(lambda: browser.get("/").text, lambda text: "not read yet" not in text)
    assert "The way of an event" in page
    assert "it answers with 401" not in page


def test_a_load_says_what_it_lacks(up: Up) -> None:
    words = ("load", "--events", "20", "--aggregates", "2", "--json")
    code, out, err = up.kinfold(*words)
    assert (code, out) == (2, "")
    assert "asks for a token with the scope write, by --token or KINFOLD_TOKEN" in err
    code, out, err = up.kinfold(*words, token=TOKEN)
    assert code == 0, err
    key = json.loads(up.kinfold("events", "-n", "1", "--json")[1])["aggregateId"]
    code, out, err = up.kinfold("account", key, "--json")
    assert code == 0, f"it asks no service, and so needs no token: {err}"


def test_a_look_at_all_says_what_it_lacks(up: Up) -> None:
    code, out, err = up.kinfold("top", "--once")
    assert code == 0, out + err
    assert f"{up.announced['writer']} asks for a token with the scope operate" in out
    assert "asks for a token with the scope operate: --token or KINFOLD_TOKEN" in out
    code, out, _ = up.kinfold("top", "--once", token=TOKEN)
    assert code == 0
    assert "asks for a token" not in out


def test_health_says_what_it_lacks(up: Up) -> None:
    code, _, err = up.kinfold("health")
    assert code == 1
    assert "token of scope operate: --token or KINFOLD_TOKEN" in err
    code, _, err = up.kinfold("health", token=TOKEN)
    assert code == 0, err


@pytest.mark.parametrize("tokens", [GUARDED, {"KINFOLD_ACCESS": "tokens"}])
def test_a_demo_needs_no_token(up: Up, aws_endpoint: str, tokens: dict[str, str]) -> None:
    demo = subprocess.run(
        [
            sys.executable,
            "-m",
            "kinfold",
            "demo",
            "--events",
            "20",
            "--aggregates",
            "2",
            "--endpoint-url",
            aws_endpoint,
        ],
        env=up.env | tokens,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert demo.returncode == 0, demo.stderr
    assert "mismatched 0" in demo.stdout
