"""Rebuild and verify spread over processes: as an operator runs, interrupts and loses them."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from betting.projections import PROJECTIONS
from ledger.runtime.aws import Clients
from ledger.store.event_store import EventStore
from ledger.store.tables import Names
from projector.engine.control_rows import Generations
from projector.engine.provisioning import prepare
from projector.rebuild.build_lease import BuildStore
from tests.support.accounts import deposit_on_each
from tests.support.processes import children
from tests.support.waiting import PATIENCE, until

pytestmark = [pytest.mark.integration, pytest.mark.acceptance]

#: So few read units that a rebuild lasts until it is ended.
SLOW = ("--read-units", "1", "--segments", "8")


@pytest.fixture
def accounts(ledger_tables: Names, clients: Clients) -> list[str]:
    prepare(clients.dynamodb, ledger_tables, PROJECTIONS)
    return deposit_on_each(EventStore(clients.dynamodb, ledger_tables.events), 40, 8)


def reading(command: subprocess.Popen[str], clients: Clients, names: Names) -> list[int]:
    """Wait until a rebuild reads; gives its processes."""
    builds = BuildStore(clients.dynamodb, names.projections)

    def reads() -> bool:
        build = builds.read("balance-summary")
        return build is not None and build.read > 0

    until(reads)
    return [pid for pid in children(command.pid) if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]


def test_two_processes_rebuild_and_verify_what_one_does(
    accounts: list[str], kinfold: Callable[..., tuple[int, str, str]]
) -> None:
    code, out, err = kinfold("projector", "rebuild", "--processes", "2", "--json")
    assert code == 0, err
    rebuilt = [json.loads(line) for line in out.splitlines()]
    assert [(each["generation"], each["aggregates"], each["events"]) for each in rebuilt] == [(2, 40, 320)] * 2
    code, out, err = kinfold("projector", "verify", "--processes", "3", "--json")
    assert code == 0, err
    assert [json.loads(line)["tally"] for line in out.splitlines()] == [{"agrees": 40}] * 2


@pytest.mark.parametrize("ended", ["child killed", "interrupted", "killed"])
def test_a_rebuild_that_ends_leaves_no_process_and_goes_on(
    ended: str,
    accounts: list[str],
    start_kinfold: Callable[..., subprocess.Popen[str]],
    kinfold: Callable[..., tuple[int, str, str]],
    clients: Clients,
    names: Names,
) -> None:
    command = start_kinfold("projector", "rebuild", "--processes", "2", *SLOW)
    processes = reading(command, clients, names)
    assert len(processes) == 2
    match ended:
        case "child killed":
            os.kill(processes[0], signal.SIGKILL)
        case "interrupted":
            for pid in (*processes, command.pid):  # as a terminal's Ctrl-C reaches the whole group
                os.kill(pid, signal.SIGINT)
        case "killed":
            command.kill()
    _, err = command.communicate(timeout=PATIENCE)
    if ended == "child killed":
        assert command.returncode == 1
        assert f"process {processes[0]} of the reading is gone (exit code -9): run the command again" in err
    elif ended == "interrupted":
        assert command.returncode == 130
        assert "Traceback" not in err
    until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in processes))
    code, out, err = kinfold("projector", "rebuild", "--processes", "2", "--json")
    assert code == 0, err
    assert [json.loads(line)["aggregates"] for line in out.splitlines()] == [40, 40]
    for projection in PROJECTIONS:
        assert Generations(clients.dynamodb, names.projections).read(projection.name).active == 2


def test_read_units_bound_what_is_read_a_second(
    accounts: list[str], kinfold: Callable[..., tuple[int, str, str]]
) -> None:
    began = time.monotonic()
    code, _, err = kinfold("projector", "verify", "--read-units", "4", "--segments", "4")
    assert code in (0, 5), err
    assert time.monotonic() - began > 2, "320 events are some 20 units, of which the last page's are not waited for"
