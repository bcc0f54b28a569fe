"""Long work without a terminal tells how far it is in its log, and other commands tell the same meanwhile."""

import json
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

#: Events of each of forty accounts: twenty a second last for five minutes.
EACH = 160


@pytest.fixture
def accounts(clients: Clients, names: Names) -> list[str]:
    made_bridge(clients, names, 1)
    prepare(clients.dynamodb, names, PROJECTIONS)
    return deposit_on_each(EventStore(clients.dynamodb, names.events), 40, EACH)


def test_a_backfill_in_a_pipe_is_seen_while_it_runs_and_once_it_is_dead(
    accounts: list[str], child_env: dict[str, str], kinfold: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    log, out = tmp_path / "log", tmp_path / "out"
    assert "no backfill is under way" in kinfold("bridge", "backfill", "--status")[2]

    def told() -> list[dict[str, Any]]:
        whole, _, _ = log.read_text().rpartition("\n")
        return [line for line in map(json.loads, whole.splitlines()) if line["event"] == "progress"]

    def status() -> dict[str, Any]:
        code, printed, err = kinfold("bridge", "backfill", "--status", "--json")
        assert code == 0, err
        return dict(json.loads(printed)) if printed else {}

    with log.open("wb") as stderr, out.open("wb") as stdout:
        command = [sys.executable, "-m", "kinfold", "bridge", "backfill", "--all", "--read-rate", "20", "--json"]
        env = child_env | {"KINFOLD_LOG_FORMAT": "json"}
        with subprocess.Popen(command, env=env, stdout=stdout, stderr=stderr) as process:
            found = until(status, lambda found: bool(found.get("rate")))
            assert (found["selection"], found["runs"], found["total"]) == ("all accounts", True, 40 * EACH)
            assert found["readUnits"] > 0
            line = until(told)[-1]
            assert process.poll() is None
            process.kill()
    assert line["phase"] == "reading"
    assert {"done", "of", "read_units"} <= line.keys()
    assert out.read_text() == ""
    found = status()
    assert (found["runs"], found["rate"], found["secondsLeft"]) == (False, None, None)
    assert found["read"] > 0
    code, printed, err = kinfold("bridge", "backfill", "--status")
    assert code == 0, err
    assert f"of about {40 * EACH:,} events read, interrupted, nobody runs it" in printed
