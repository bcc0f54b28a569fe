"""What commands show on a terminal of 80 columns, and what they put into a pipe."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from betting.projections import PROJECTIONS
from faust_kinesis.leases.table import Lease, LeaseTable, lease_spec
from ledger.runtime.aws import Clients
from ledger.store.event_store import EventStore
from ledger.store.tables import Names, ensure_table
from projector.engine.provisioning import prepare
from tests.support.accounts import deposit
from tests.support.aws.tables import made_bridge
from tests.support.terminals import on_terminal
from tests.support.waiting import PATIENCE

pytestmark = [pytest.mark.integration, pytest.mark.acceptance]

Show = Callable[..., str]


@pytest.fixture(params=["terminal", "pipe"])
def shown(request: pytest.FixtureRequest, child_env: dict[str, str]) -> Show:
    """Run ``kinfold ...`` and give what it shows, on a terminal of 80 columns or in a pipe."""
    env = child_env | {"KINFOLD_FAILOVER_TIME": "1"}

    def on(*arguments: str) -> str:
        command = [sys.executable, "-m", "kinfold", *arguments]
        if request.param == "terminal":
            return on_terminal(command, env)[1]
        return subprocess.run(command, env=env, capture_output=True, text=True, timeout=PATIENCE, check=False).stdout

    return on


@pytest.mark.parametrize("worker", ["worker-1", "a-worker-with-a-name-of-more-than-thirty-characters"])
def test_nothing_that_tells_rows_apart_is_cut(shown: Show, clients: Clients, names: Names, worker: str) -> None:
    made_bridge(clients, names, 3)
    prepare(clients.dynamodb, names, PROJECTIONS)
    ensure_table(clients.dynamodb, lease_spec(names.leases))
    table = LeaseTable(clients.dynamodb, names.leases)
    shards = [shard["ShardId"] for shard in clients.kinesis.list_shards(StreamName=names.stream)["Shards"]]
    for shard in shards:
        table.add(Lease(shard, "TRIM_HORIZON"))
        table.take(table.scan()[shard], worker)
    bridge = shown("bridge", "status", "--sample", "0")
    for name in (names.events, names.snapshots, names.commands, names.bridge, names.stream, "encryption NONE"):
        assert name in bridge
    status = shown("projector", "status")
    for name in (*shards, worker):
        assert name in status
    assert "\N{HORIZONTAL ELLIPSIS}" not in bridge + status
    assert status.rstrip().splitlines()[-1] == "not healthy: 3 warnings"
    assert bridge.rstrip().splitlines()[-1] == "healthy"


def test_verify_leaves_its_result_standing(shown: Show, clients: Clients, names: Names) -> None:
    made_bridge(clients, names, 1)
    prepare(clients.dynamodb, names, PROJECTIONS)
    store = EventStore(clients.dynamodb, names.events)
    for number in range(5):
        deposit(store, f"acc-{number}")
    result = [
        f"{projection.name} acc-{number}: missing at no row, behind by 1"
        for projection in PROJECTIONS
        for number in range(5)
    ]
    tallies = [f"{projection.name}, generation 1: 5 missing" for projection in PROJECTIONS]
    lines = shown("projector", "verify", "--wait", "0").splitlines()
    assert sorted(line for line in lines if "missing" in line) == sorted(result + tallies)


def test_what_is_asked_for_as_json_goes_to_the_pipe_also_from_a_terminal(
    clients: Clients, names: Names, child_env: dict[str, str], tmp_path: Path
) -> None:
    """A person's ``kinfold ... --json | jq``: standard error is the terminal, standard output is not."""
    made_bridge(clients, names, 1)
    prepare(clients.dynamodb, names, PROJECTIONS)
    deposit(EventStore(clients.dynamodb, names.events), "alice")
    taken = tmp_path / "out"
    command = f"{sys.executable} -m kinfold projector verify --wait 0 --json | cat > {taken}"
    on_terminal(["/bin/sh", "-c", command], child_env)
    found = list(map(json.loads, taken.read_text().splitlines()))
    assert [each.get("aggregateId") for each in found] == ["alice"] * 2 + [None] * 2
