"""What the AWS SDK refuses ends every command with exit code 2 and the setting's name; and the demo behind a proxy."""

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import typer.main

from kinfold import cli
from ledger.runtime.sockets import free_port
from tests.support.waiting import PATIENCE

pytestmark = [pytest.mark.acceptance]

#: Those that ask no AWS.
WITHOUT_AWS = {("load",), ("health",), ("token",), ("settings",), ("domain",), ("aws",)}
#: What a command needs to come as far as its clients.
ARGUMENTS = {
    ("bridge", "backfill"): ["--all"],
    ("bridge", "scale"): ["--shards", "2"],
    ("projector", "dead-letters", "show"): ["balance-summary~alice~1"],
    ("projector", "dead-letters", "redrive"): ["--all"],
    ("projector", "dead-letters", "skip"): ["balance-summary~alice~1", "--reason", "r"],
    ("projector", "generations", "drop"): ["balance-summary", "1"],
    ("account",): ["alice"],
    ("projector", "replay"): ["--from", "latest"],
}


def commands(group: Any, *path: str) -> Iterator[tuple[str, ...]]:
    for name, command in group.commands.items():
        if not path and name in cli.SERVICES:
            command = typer.main.get_group(importlib.import_module(cli.SERVICES[name][0]).app)
        if hasattr(command, "commands"):
            yield from commands(command, *path, name)
        elif (*path, name) not in WITHOUT_AWS:
            yield (*path, name)


def environment(**settings: str) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "KINFOLD_"))}
    keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    # The ports that services take by default may be another process's.
    keys |= {f"KINFOLD_{service}_PORT": "0" for service in ("WRITER", "PROJECTOR", "BRIDGE", "CONSOLE")}
    return inherited | keys | {"AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_REGION": "us-east-1"} | settings


@pytest.mark.parametrize("command", list(commands(typer.main.get_group(cli.app))), ids=" ".join)
def test_every_command_names_it(command: tuple[str, ...]) -> None:
    answer = subprocess.run(
        [sys.executable, "-m", "kinfold", *command, *ARGUMENTS.get(command, [])],
        env=environment(AWS_PROFILE="nope"),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert answer.returncode == 2, answer.stderr
    assert "AWS_PROFILE cannot be used: The config profile (nope) could not be found" in answer.stderr
    assert "Traceback" not in answer.stderr


@pytest.mark.parametrize("endpoint", ["http://my_host:4566", "nonsense"])
def test_an_endpoint_that_is_none_is_named(endpoint: str) -> None:
    answer = subprocess.run(
        [sys.executable, "-m", "kinfold", "demo", "--endpoint-url", endpoint],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert answer.returncode == 2, answer.stderr
    assert endpoint in answer.stderr
    assert "Traceback" not in answer.stderr


def test_the_demo_asks_the_embedded_aws_through_no_proxy() -> None:
    nobody = f"http://127.0.0.1:{free_port()}"
    env = environment(HTTP_PROXY=nobody, http_proxy=nobody, HTTPS_PROXY=nobody, ALL_PROXY=nobody)
    for name in ("AWS_ENDPOINT_URL", "NO_PROXY", "no_proxy"):
        env.pop(name, None)
    answer = subprocess.run(
        [sys.executable, "-m", "kinfold", "demo", "--aggregates", "3", "--events", "20", "--json"],
        env=env,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    assert json.loads(answer.stdout.splitlines()[-1])["mismatched"] == 0
