"""The events table is deleted beside running services, and comes back with less: all of them notice, and all go on."""

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from kinfold.local.service import Service
from ledger.runtime.aws import Clients
from ledger.store.tables import Names, ensure_table, store_specs
from tests.support.waiting import until

pytestmark = [pytest.mark.integration, pytest.mark.acceptance]

Run = Callable[..., tuple[int, str, str]]


def answer(service: Service, path: str) -> tuple[int, Any]:
    found = httpx.get(f"{service.url}{path}", trust_env=False, timeout=30)
    return found.status_code, found.json()


def deposit(writer: Service, amount: str) -> httpx.Response:
    body = {"amount": amount, "currency": "EUR"}
    return httpx.post(f"{writer.url}/accounts/alice/deposits", json=body, trust_env=False, timeout=30)


def first_events(clients: Clients, names: Names, count: int) -> list[Any]:
    """Alice's, as a backup has them."""
    return clients.dynamodb.query(
        TableName=names.events,
        KeyConditionExpression="aggregateId = :a AND sequenceNumber <= :n",
        ExpressionAttributeValues={":a": {"S": "alice"}, ":n": {"N": str(count)}},
    )["Items"]


def test_a_lost_table_from_its_deletion_to_all_agree(
    bridge: None,
    clients: Clients,
    names: Names,
    start_service: Callable[..., Service],
    kinfold: Run,
) -> None:
    """The runbook of docs/restore.md, on a ledger whose last events are not in the backup."""
    writer = start_service("writer", "serve", KINFOLD_SNAPSHOT_INTERVAL="5")
    services = [
        writer,
        projector := start_service("projector", "run"),
        start_service("bridge", "watch"),
    ]

    for _ in range(12):
        assert deposit(writer, "100.00").status_code == 201
    assert answer(projector, "/balances/alice?min_version=12")[1]["balance"] == "1200.00"
    backup = first_events(clients, names, 5)

    clients.dynamodb.delete_table(TableName=names.events)
    clients.dynamodb.get_waiter("table_not_exists").wait(TableName=names.events, WaiterConfig={"Delay": 1})
    ensure_table(clients.dynamodb, store_specs(names)[0])
    for item in backup:
        clients.dynamodb.put_item(TableName=names.events, Item=item)

    # A relay whose stream is gone ends, and is started again.
    services.append(start_service("bridge", "relay", ready=False, KINFOLD_BRIDGE="relay"))
    for service in services:
        until(lambda service=service: "kinfold restore" in answer(service, "/ready")[1].get("detail", ""))  # type: ignore[misc]
        assert "events_table_replaced" in service.log.read_text()
    code, out, err = kinfold("restore", "--dry-run", "--json")
    planned = json.loads(out)
    assert (code, planned["replaced"]) == (0, True), err
    assert planned["histories"] == {"events": 5, "aggregates": 1, "holes": {}}
    assert planned["leftovers"]["snapshots"] == 1
    refused = deposit(writer, "1.00")
    assert (refused.status_code, refused.json()["type"]) == (503, "urn:kinfold:problem:events-table-replaced")
    assert answer(projector, "/balances/alice")[0] == 503
    for words in (("projector", "status"), ("bridge", "status", "--sample", "0")):
        code, out, _ = kinfold(*words)
        assert code != 0
        assert "kinfold restore" in " ".join(out.split())

    code, out, err = kinfold("restore")
    assert code == 0, err
    assert "everything agrees with the events table" in out

    until(lambda: deposit(writer, "7.00").status_code == 201)
    shown = until(lambda: answer(projector, "/balances/alice?min_version=6"), lambda found: found[0] == 200)
    assert shown[1]["balance"] == "507.00"
    assert httpx.get(f"{writer.url}/accounts/alice", trust_env=False).json()["balance"] == "507.00"
    assert kinfold("projector", "verify", "--wait", "20")[0] == 0
    for service in services[:3]:
        until(lambda service=service: answer(service, "/ready")[0] == 200)  # type: ignore[misc]


def test_events_that_are_restored_under_another_name(
    bridge: None,
    clients: Clients,
    names: Names,
    start_service: Callable[..., Service],
    kinfold: Run,
) -> None:
    """The former table is still there, and what serves it goes on until the restore begins."""
    former = [
        start_service("writer", "serve"),
        start_service("projector", "run", KINFOLD_WORKER_ID="former"),
        start_service("bridge", "watch"),
    ]
    for _ in range(4):
        assert deposit(former[0], "100.00").status_code == 201
    assert answer(former[1], "/balances/alice?min_version=4")[1]["balance"] == "400.00"
    moved = Names(names.profile, f"{names.events}.restored")
    ensure_table(clients.dynamodb, store_specs(moved)[0])
    for item in first_events(clients, names, 3):
        clients.dynamodb.put_item(TableName=moved.events, Item=item)

    for words in (("projector", "rebuild"), ("projector", "verify"), ("projector", "dead-letters", "redrive", "--all")):
        code, _, err = kinfold(*words, KINFOLD_EVENTS_TABLE=moved.events)
        assert (code, f"KINFOLD_EVENTS_TABLE={names.events} " in " ".join(err.split())) == (4, True), (words, err)
    code, out, err = kinfold("restore", KINFOLD_EVENTS_TABLE=moved.events)
    assert code == 0, err
    assert f"{names.events} is read by nothing any more" in " ".join(out.split())

    for service in former:
        until(
            lambda service=service: f"KINFOLD_EVENTS_TABLE={moved.events}" in answer(service, "/ready")[1]["detail"],  # type: ignore[misc]
        )
    assert deposit(former[0], "1.00").status_code == 503
    for service in former:
        service.stop()
    writer = start_service("writer", "serve", KINFOLD_EVENTS_TABLE=moved.events)
    projector = start_service("projector", "run", KINFOLD_EVENTS_TABLE=moved.events, KINFOLD_WORKER_ID="moved")
    assert deposit(writer, "7.00").json()["balance"] == "307.00"
    shown = until(lambda: answer(projector, "/balances/alice?min_version=4"), lambda found: found[0] == 200)
    assert shown[1]["balance"] == "307.00"
    assert kinfold("projector", "verify", "--wait", "20", KINFOLD_EVENTS_TABLE=moved.events)[0] == 0
    listed = json.loads(kinfold("projector", "status", "--json", KINFOLD_EVENTS_TABLE=moved.events)[1])
    assert listed["openDeadLetters"] == 0
