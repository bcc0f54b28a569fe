"""`kinfold up` whose services ask for tokens: it becomes ready, and each command without one says what it lacks."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator

import httpx
import pytest

from ledger.runtime.auth import Credential, Principal, Scope, digest
from tests.acceptance.local.two_terminals import Terminals, two_terminals
from tests.support.waiting import PATIENCE, until

pytestmark = [pytest.mark.acceptance, pytest.mark.integration]

TOKEN = "kf_of-whoever-may-do-all"
GUARDED = {
    "KINFOLD_ACCESS": "tokens",
    "KINFOLD_TOKENS": str(Credential(Principal("ann", frozenset(Scope)), digest(TOKEN))),
}


@pytest.fixture(scope="module")
def up(aws_endpoint: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Terminals]:
    with two_terminals(aws_endpoint, tmp_path_factory.mktemp("guarded"), **GUARDED) as running:
        yield running
        running.process.send_signal(signal.SIGINT)
        assert running.process.wait(60) == 0
        said = running.log.read_text()
        assert TOKEN not in said
        assert "kf_" not in said


@pytest.mark.parametrize("service", ["writer", "projector", "watch", "console"])
def test_its_services_ask_for_a_token_and_are_ready(up: Terminals, service: str) -> None:
    ready = f"{up.announced[service]}/ready"
    assert httpx.get(ready, trust_env=False).status_code == 401
    signed = httpx.get(ready, headers={"Authorization": f"Bearer {TOKEN}"}, trust_env=False)
    assert signed.status_code == 200, signed.text


def test_its_console_is_told_the_services_metrics(up: Terminals) -> None:
    with httpx.Client(base_url=up.announced["console"], trust_env=False, follow_redirects=True) as browser:
        browser.post("/sign-in", data={"token": TOKEN}, headers={"Origin": up.announced["console"]})
        page = until(lambda: browser.get("/").text, lambda text: "not read yet" not in text)
    assert "The way of an event" in page
    assert "it answers with 401" not in page


def test_a_load_says_what_it_lacks(up: Terminals) -> None:
    words = ("load", "--events", "20", "--aggregates", "2", "--json")
    code, out, err = up.kinfold(*words)
    assert (code, out) == (2, "")
    assert "asks for a token with the scope write, by --token or KINFOLD_TOKEN" in err
    code, out, err = up.kinfold(*words, KINFOLD_TOKEN=TOKEN)
    assert code == 0, err
    key = json.loads(up.kinfold("events", "-n", "1", "--json")[1])["aggregateId"]
    code, out, err = up.kinfold("account", key, "--json")
    assert code == 0, f"it asks no service, and so needs no token: {err}"


def test_a_look_at_all_says_what_it_lacks(up: Terminals) -> None:
    code, out, err = up.kinfold("top", "--once")
    assert code == 0, out + err
    assert f"{up.announced['writer']} asks for a token with the scope operate" in out
    assert "asks for a token with the scope operate: --token or KINFOLD_TOKEN" in out
    code, out, _ = up.kinfold("top", "--once", KINFOLD_TOKEN=TOKEN)
    assert code == 0
    assert "asks for a token" not in out


def test_health_says_what_it_lacks(up: Terminals) -> None:
    code, _, err = up.kinfold("health")
    assert code == 1
    assert "token of scope operate: --token or KINFOLD_TOKEN" in err
    code, _, err = up.kinfold("health", KINFOLD_TOKEN=TOKEN)
    assert code == 0, err


@pytest.mark.parametrize("tokens", [GUARDED, {"KINFOLD_ACCESS": "tokens"}])
def test_a_demo_needs_no_token(up: Terminals, aws_endpoint: str, tokens: dict[str, str]) -> None:
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
        timeout=PATIENCE,
        check=False,
    )
    assert demo.returncode == 0, demo.stderr
    assert "mismatched 0" in demo.stdout
