"""Long work without a terminal tells how far it is in its log, and other commands tell the same meanwhile."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from betting.projections import PROJECTIONS
from ledger.runtime.aws import Clients
from ledger.store.event_store import EventStore
from ledger.store.tables import Names
from projector.engine.provisioning import prepare
from tests.support.accounts import deposit_on_each
from tests.support.aws.tables import made_bridge
from tests.support.waiting import until

pytestmark = [pytest.mark.integration, pytest.mark.acceptance]

#: Events of each of forty accounts: enough that a rebuild by one read unit a second lasts until it is ended.
EACH = 160


@pytest.fixture
def accounts(clients: Clients, names: Names) -> list[str]:
    made_bridge(clients, names, 1)
    prepare(clients.dynamodb, names, PROJECTIONS)
    return deposit_on_each(EventStore(clients.dynamodb, names.events), 40, EACH)


@pytest.mark.timeout(240)
def test_a_rebuild_in_a_pipe(
    accounts: list[str], child_env: dict[str, str], kinfold: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    """It lasts until it is interrupted, as by Ctrl-C."""
    log, out = tmp_path / "log", tmp_path / "out"
    words = ("projector", "rebuild", "--json", "--read-units", "1", "--segments", "8")
    env = child_env | {"KINFOLD_LOG_FORMAT": "json"}

    def told() -> list[dict[str, Any]]:
        whole, _, _ = log.read_text().rpartition("\n")
        return [line for line in map(json.loads, whole.splitlines()) if line["event"] == "progress"]

    def status() -> dict[str, Any]:
        code, printed, err = kinfold("projector", "status", "--json", KINFOLD_FAILOVER_TIME="1")
        assert code == 5, err
        found = json.loads(printed)["projections"][0]
        return found if (found["build"] or {}).get("rate") else {}

    with log.open("wb") as stderr, out.open("wb") as stdout:
        command = [sys.executable, "-m", "kinfold", *words]
        with subprocess.Popen(command, env=env, stdout=stdout, stderr=stderr) as process:
            found = until(status)
            assert (found["phase"], found["building"], found["build"]["runs"]) == ("reading", 2, True)
            assert found["build"]["total"] == 40 * EACH
            assert found["build"]["readUnits"] > 0
            code, printed, err = kinfold("projector", "generations", "list", "--projection", "balance-summary")
            assert code == 0, err
            assert " building " in printed
            assert "reading: " in printed
            assert " a second, " in printed
            line = until(told)[-1]
            process.send_signal(signal.SIGINT)
            assert process.wait(60) == 130
    assert (line["work"], line["phase"]) == ("balance-summary, daily-activity", "reading")
    assert {"done", "of", "read_units", "write_units"} <= line.keys()
    assert out.read_text() == ""


@pytest.mark.timeout(240)
def test_a_backfill_that_is_dead_is_told_by_its_status(
    accounts: list[str],
    start_kinfold: Callable[..., "subprocess.Popen[str]"],
    kinfold: Callable[..., tuple[int, str, str]],
) -> None:
    assert "no backfill is under way" in kinfold("bridge", "backfill", "--status")[2]
    command = start_kinfold("bridge", "backfill", "--all", "--read-rate", "20")

    def status() -> dict[str, Any]:
        code, printed, err = kinfold("bridge", "backfill", "--status", "--json")
        assert code == 0, err
        return dict(json.loads(printed)) if printed else {}

    found = until(status, lambda found: bool(found.get("rate")))
    assert (found["selection"], found["runs"], found["total"]) == ("all accounts", True, 40 * EACH)
    assert found["readUnits"] > 0
    command.kill()
    command.communicate()
    found = status()
    assert (found["runs"], found["rate"], found["secondsLeft"]) == (False, None, None)
    assert found["read"] > 0
    code, printed, err = kinfold("bridge", "backfill", "--status")
    assert code == 0, err
    assert f"of about {40 * EACH:,} events read, interrupted, nobody runs it" in printed
