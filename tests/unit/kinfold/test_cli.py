import json
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from faust_kinesis import errors as transport
from kinfold import cli
from ledger import errors
from ledger.runtime.auth import Access, Credential, Scope


def kinfold(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([sys.executable, "-m", "kinfold", *arguments], capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.ConfigurationError("x"), 2),
        (transport.ConfigurationError("x"), 2),
        (errors.EndpointError("x"), 75),
        (errors.ThrottledError("x"), 75),
        (transport.TransientError("x"), 75),
        (errors.ResourceError("x"), 1),
        (transport.StreamGoneError("x"), 1),
        (ValueError("x"), None),
    ],
)
def test_every_expected_error_has_an_exit_code(error: Exception, code: int | None) -> None:
    assert cli.exit_code(error) == code


@pytest.mark.parametrize("service", cli.SERVICES)
def test_each_service_is_reached_through_the_front_door(service: str) -> None:
    answer = CliRunner().invoke(cli.app, [service, "--help"])
    assert answer.exit_code == 0, answer.output
    assert f"kinfold {service}" in answer.output.replace("root", "kinfold")


def test_the_demo_is_reached_through_the_front_door() -> None:
    answer = kinfold("demo", "--help")
    for word in ("kinfold demo", "--aggregates", "every read model agrees"):
        assert word in answer.stdout


def test_help_names_every_command_and_the_exit_codes() -> None:
    answer = kinfold("--help")
    for word in (*cli.SERVICES, "demo", "up", "aws", "load", "health", "token", "Exit codes", "75"):
        assert word in answer.stdout


def test_the_lines_of_an_example_stay_apart() -> None:
    lines = CliRunner().invoke(cli.app, ["up", "--help"], env={"COLUMNS": "80"}).output.splitlines()
    assert [line.strip() for line in lines if "$ kinfold up" in line] == [
        "$ kinfold up",
        "$ kinfold up --quiet",
        "$ kinfold up --data-dir ~/kinfold-data",
        "$ kinfold up --endpoint-url http://127.0.0.1:4566 --writer-port 0",
    ]


def test_help_imports_no_service() -> None:
    script = "import sys, kinfold.cli; print([m for m in ('fastapi', 'faust', 'boto3', 'httpx') if m in sys.modules])"
    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"


def test_an_expected_error_is_one_message_and_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    monkeypatch.delenv("KINFOLD_PROFILE", raising=False)
    answer = kinfold("bridge", "status")
    assert answer.returncode == 2
    assert answer.stderr.startswith("kinfold: settings that cannot be used:")
    assert "Traceback" not in answer.stderr
    assert answer.stdout == ""


def test_version_and_an_unknown_command() -> None:
    assert kinfold("--version").stdout.startswith("kinfold ")
    answer = kinfold("dem")
    assert answer.returncode == 2
    assert "No such command" in answer.stderr


def test_health_of_nobody() -> None:
    answer = kinfold("health", "http://127.0.0.1:1/health")
    assert answer.returncode == 1
    assert "does not answer" in answer.stderr
    assert kinfold("health", "file:///etc/passwd").returncode == 2


def test_a_token_is_shown_once_beside_the_line_that_knows_it() -> None:
    answer = CliRunner().invoke(cli.app, ["token", "shop", "--scope", "read", "--scope", "write", "--json"])
    made = json.loads(answer.output)
    known = Access([Credential.parse(made["setting"])]).verify(f"Bearer {made['token']}")
    assert (known.name, known.scopes) == ("shop", frozenset({Scope.READ, Scope.WRITE}))
    assert made["token"] not in made["setting"]
    assert CliRunner().invoke(cli.app, ["token", "a b", "--scope", "read"]).exit_code == 2


@pytest.mark.parametrize(
    "moment", ["2026", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "1969-12-31T23:59Z", "2026-01-31"]
)
@pytest.mark.parametrize("command", [("bridge", "backfill", "--since"), ("projector", "replay", "--from")])
def test_an_option_that_is_no_moment_is_refused(command: tuple[str, ...], moment: str) -> None:
    answer = CliRunner().invoke(cli.app, [*command, moment], env={"COLUMNS": "200"})
    assert answer.exit_code == 2, answer.output
    assert command[-1] in answer.output
    assert moment in answer.output
