"""The projector as a real process, with real signals."""

import json
import random
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from kinfold.ports import free_port
from kinfold.service import Service
from ledger.aws import Clients
from ledger.event_store import EventStore
from ledger.events import FundsDeposited
from ledger.stored_event import StoredEvent
from ledger.tables import Names
from tests.ledger_load import LedgerLoad

pytestmark = [pytest.mark.integration, pytest.mark.acceptance]

KILLS = 20


@pytest.fixture
def bridge(child_env: dict[str, str], clients: Clients) -> None:
    """Tables, a stream of four shards and the destination, by the command that makes them."""
    command = [sys.executable, "-m", "kinfold", "bridge", "ensure", "--shards", "4"]
    subprocess.run(command, env=child_env, check=True, capture_output=True, timeout=120)


@pytest.fixture
def start_projector(bridge: None, child_env: dict[str, str], tmp_path: Path) -> Iterator[Callable[..., Service]]:
    """Start a projector process, ready or not; all are stopped in the end."""
    started: list[Service] = []

    def start(worker_id: str = "worker-1", *, ready: bool = True) -> Service:
        port = free_port()
        env = child_env | {"KINFOLD_WORKER_ID": worker_id, "KINFOLD_FAILOVER_TIME": "3"}
        service = Service(
            "projector",
            ["projector", "run", "--port", str(port)],
            url=f"http://127.0.0.1:{port}",
            env=env,
            log=tmp_path / f"projector-{len(started)}.log",
        )
        started.append(service)
        if ready:
            service.wait_until_ready(30, print)
        return service

    yield start
    for service in started:
        service.stop()


def get(service: Service, path: str) -> Any:
    with urllib.request.urlopen(f"{service.url}{path}", timeout=70) as answer:
        return json.load(answer)


def deposit(store: EventStore, account_id: str, count: int) -> None:
    """Append ``count`` deposits of 1.00, one at a time."""
    version = store.version(account_id)
    for _ in range(count):
        version = store.append(
            account_id,
            [FundsDeposited(amount=Decimal(1), currency="EUR")],
            version,
            aggregate_type="account",
            correlation_id="test",
        ).version


def checkpoints(clients: Clients, names: Names) -> dict[str, str]:
    """The checkpoint of each shard, from the lease table."""
    rows = clients.dynamodb.scan(TableName=names.leases, ConsistentRead=True)["Items"]
    return {row["leaseKey"]["S"]: row["checkpoint"]["S"] for row in rows}


@pytest.mark.timeout(300)
def test_killed_at_random_under_load_it_ends_with_no_difference(
    start_projector: Callable[..., Service], clients: Clients, names: Names
) -> None:
    choose = random.Random()
    with LedgerLoad(clients, names) as load:
        for kill in range(KILLS):
            # Every third kill hits a worker that is still starting: at its leases, at its first reads.
            projector = start_projector(ready=kill % 3 != 0)
            time.sleep(choose.uniform(0, 1.5))
            projector.kill()
    start_projector()
    assert load.differences(within=60) == {}


@pytest.mark.timeout(180)
def test_two_workers_share_the_stream_and_the_survivor_takes_over(
    start_projector: Callable[..., Service], clients: Clients, names: Names
) -> None:
    first = start_projector("worker-1")
    start_projector("worker-2")
    with LedgerLoad(clients, names) as load:
        time.sleep(2)
        first.kill()
        time.sleep(2)
    assert load.differences(within=60) == {}


def test_sigterm_finishes_checkpoints_and_gives_the_leases_back(
    start_projector: Callable[..., Service], clients: Clients, names: Names
) -> None:
    store = EventStore(clients.dynamodb, names.events)
    first = start_projector("worker-1")
    deposit(store, "alice", 20)
    assert get(first, "/balances/alice?min_version=20")["balance"] == "20.00"
    assert first.stop() == 0
    owners = [row.get("leaseOwner") for row in clients.dynamodb.scan(TableName=names.leases)["Items"]]
    assert owners == [None] * 4

    second = start_projector("worker-2")
    deposit(store, "alice", 1)
    assert get(second, "/balances/alice?min_version=21")["balance"] == "21.00"
    with urllib.request.urlopen(f"{second.url}/metrics", timeout=10) as answer:
        figures = answer.read().decode()
    assert "kinfold_projector_records_total 1.0\n" in figures, "everything before was checkpointed"


def test_an_event_that_can_never_be_applied_stops_it_with_a_clear_message_and_no_checkpoint(
    start_projector: Callable[..., Service], clients: Clients, names: Names
) -> None:
    projector = start_projector()
    before = checkpoints(clients, names)
    poison = StoredEvent(
        "mallory", 1, "account", "FundsDeposited", '{"amount":"secret","currency":"EUR"}', "2026-01-01", "test"
    )
    clients.dynamodb.put_item(TableName=names.events, Item=poison.to_item())
    deadline = time.monotonic() + 30
    while projector.exit_code is None and time.monotonic() < deadline:
        time.sleep(0.1)
    assert projector.exit_code == 1
    log = projector.log.read_text()
    assert "kinfold: account mallory: event 1 cannot be applied: payload of FundsDeposited: amount:" in log
    assert "secret" not in log
    assert checkpoints(clients, names) == before


def test_a_tampered_table_stops_it(start_projector: Callable[..., Service], clients: Clients, names: Names) -> None:
    projector = start_projector()
    deposit(EventStore(clients.dynamodb, names.events), "alice", 1)
    clients.dynamodb.delete_item(
        TableName=names.events, Key={"aggregateId": {"S": "alice"}, "sequenceNumber": {"N": "1"}}
    )
    deadline = time.monotonic() + 30
    while projector.exit_code is None and time.monotonic() < deadline:
        time.sleep(0.1)
    assert projector.exit_code == 1
    assert "a REMOVE of event 1 of alice: events are append-only" in projector.log.read_text()
