"""JSON as programs get it: every ``--json`` is nothing but JSON on standard output, and all keys are in camel case."""

import importlib
import json
import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from typing import Any, Final

import httpx
import pytest
import typer.main

from kinfold import cli
from ledger.runtime import problems
from ledger.runtime.aws import Clients
from ledger.runtime.problems import ProblemType
from ledger.store.event_store import EventStore
from ledger.store.tables import Names
from tests.support.accounts import deposit, poison
from tests.support.aws.tables import made_bridge
from tests.support.waiting import PATIENCE, until

pytestmark = [pytest.mark.integration, pytest.mark.acceptance]

Kinfold = Callable[..., tuple[int, str, str]]
CAMEL: Final = re.compile(r"[a-z][a-zA-Z0-9]*")
#: Objects whose keys are data: names of tables, accounts, services, and kinds of findings.
MAPS: Final = frozenset({"tables", "versions", "tally", "pids", "holes", "payload"})
#: Every command with ``--json``, in an order that works, and its exit codes; {writer} is the running writer's URL.
COMMANDS: Final = {
    "token shop --scope read": (0,),
    "settings": (0,),
    "domain": (0,),
    "load --url {writer} --events 20 --aggregates 2 --writers 2": (0,),
    "account mallory --last 1": (0,),
    "events --aggregate mallory": (0,),
    "events --minutes 5": (0,),
    "bridge ensure": (0,),
    "bridge status --sample 0.1": (0,),
    "bridge hold --reason test": (0,),
    "bridge hold": (0,),
    "bridge hold --lift": (0,),
    "bridge backfill --aggregate mallory": (0,),
    "bridge backfill --all --dry-run": (0,),
    "bridge backfill --status": (0,),
    "bridge scale --retention 48": (0,),
    "projector status": (5,),
    "projector dead-letters list": (0,),
    "projector dead-letters show balance-summary~mallory~2": (0,),
    "projector dead-letters redrive --aggregate mallory": (1,),
    "projector dead-letters skip balance-summary~mallory~2 --reason test --dry-run": (0,),
    "projector dead-letters skip --aggregate mallory --reason test": (0,),
    "projector verify": (0, 5),
    "projector rebuild": (0,),
    "projector rebuild --abort": (0,),
    "projector generations list": (0,),
    "restore --dry-run": (0,),
    "audit": (0,),
    "demo --events 20 --aggregates 2 --writers 2 --endpoint-url {aws}": (0,),
}


def keys(value: Any, inside: str = "") -> Iterator[str]:
    """Every key of a JSON value that a program was written for."""
    if isinstance(value, dict):
        for key, each in value.items():
            if inside not in MAPS:
                yield key
            yield from keys(each, key)
    elif isinstance(value, list):
        for each in value:
            yield from keys(each, inside)


def wrong_keys(*values: Any) -> set[str]:
    return {key for value in values for key in keys(value) if not CAMEL.fullmatch(key)}


def with_json(command: Any, *path: str) -> Iterator[str]:
    """Every command that has ``--json``."""
    if any("--json" in each.opts for each in command.params):
        yield " ".join(path)
    for name, each in getattr(command, "commands", {}).items():
        if not path and name in cli.SERVICES:
            each = typer.main.get_group(importlib.import_module(cli.SERVICES[name][0]).app)
        if not path and name == "demo":
            each = typer.main.get_command(importlib.import_module("kinfold.demo.command").app)
        yield from with_json(each, *path, name)


@pytest.fixture
def running(
    child_env: dict[str, str], aws_endpoint: str, start_kinfold: Callable[..., "subprocess.Popen[str]"]
) -> Iterator[dict[str, Any]]:
    """What ``kinfold up --json`` prints; everything runs meanwhile."""
    ports = [part for name in ("writer", "projector", "bridge", "console") for part in (f"--{name}-port", "0")]
    process = start_kinfold("up", "--json", "--endpoint-url", aws_endpoint, *ports)
    assert process.stdout is not None
    yield json.loads(process.stdout.readline())
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, out) == (0, ""), err


def test_every_command_is_here() -> None:
    there = set(with_json(typer.main.get_group(cli.app)))
    here = {name for name in there if any(f"{command} ".startswith(f"{name} ") for command in COMMANDS)}
    assert there - here == {"up", "projector replay"}, "one runs beside the others, and one while no worker does"


def test_every_command_prints_json_alone_and_every_answer_has_the_same_case(
    running: dict[str, Any], kinfold: Kinfold, clients: Clients, names: Names
) -> None:
    bad = poison(clients.dynamodb, names.events, deposit(EventStore(clients.dynamodb, names.events), "mallory")[0])

    def get(service: str, path: str) -> Any:
        return httpx.get(f"{running[service]}{path}", timeout=70, trust_env=False).json()

    until(lambda: len(get("projector", "/dead-letters")["deadLetters"]) == 2)
    answers = [
        get(service, path) for service in ("writer", "projector", "watch", "console") for path in ("/health", "/ready")
    ]
    answers += [get("projector", path) for path in ("/dead-letters", "/balances/mallory", "/activity/mallory")]
    answers += [get("projector", "/balances/mallory?min_version=2"), get("writer", "/accounts/mallory/events")]
    answers += [get("writer", f"/accounts/mallory?version={bad.sequence_number - 1}"), get("writer", "/accounts/-")]
    assert wrong_keys(running, *answers) == set()
    document = get("writer", "/openapi.json")
    schemas = {name: each.get("properties", {}) for name, each in document["components"]["schemas"].items()}
    assert {key for properties in schemas.values() for key in properties if not CAMEL.fullmatch(key)} == set()
    for command, codes in COMMANDS.items():
        words = command.format(writer=running["writer"], aws=running["aws"]).split()
        code, out, err = kinfold(*words, "--json")
        assert code in codes, f"{command}: {err}"
        assert wrong_keys(*map(json.loads, out.splitlines())) == set(), command
        assert out or command.endswith(("--abort", "--status")), command


def test_every_problem_has_the_same_case() -> None:
    catalogue = [each.example() for each in vars(problems).values() if isinstance(each, ProblemType)]
    assert len(catalogue) > 20
    assert wrong_keys(*catalogue) == set()


def test_a_replay_prints_json_alone(kinfold: Kinfold, clients: Clients, names: Names) -> None:
    made_bridge(clients, names, 1)
    code, out, err = kinfold("projector", "replay", "--from", "latest", "--json")
    assert code == 0, err
    assert wrong_keys(json.loads(out)) == set()
