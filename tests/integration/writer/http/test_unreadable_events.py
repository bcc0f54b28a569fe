"""An event in an account's history that this version cannot read: said as what it is, and never decided around."""

from typing import Any

import httpx
import pytest
from msgspec import structs

from ledger.runtime.aws import Clients
from ledger.store.event_store import EventStore
from ledger.store.tables import Names
from tests.support.accounts import READABLE, deposit, poison, stored_event

pytestmark = pytest.mark.integration

DEPOSIT = {"amount": "5.00", "currency": "EUR"}


def problem(response: httpx.Response) -> dict[str, Any]:
    body: dict[str, Any] = response.json()
    assert (response.status_code, body["type"]) == (503, "urn:kinfold:problem:unreadable-history"), response.text
    assert response.headers["retry-after"] == "60"
    return body


async def test_it_is_named_with_its_reason_and_what_to_do(
    http: httpx.AsyncClient, store: EventStore, clients: Clients, ledger_tables: Names
) -> None:
    poison(clients.dynamodb, ledger_tables.events, deposit(store, "alice", 2)[-1])
    for response in (
        await http.post("/accounts/alice/deposits", json=DEPOSIT),
        await http.post("/accounts/alice/deposits", json=DEPOSIT, headers={"If-Match": '"3"'}),
        await http.post("/accounts/alice/deposits", json=DEPOSIT, headers={"Idempotency-Key": "k1"}),
    ):
        body = problem(response)
        assert body["sequenceNumber"] == 3
        assert "alice: event 3 cannot be read: payload of FundsDeposited: amount" in body["detail"]
        assert "nothing was written" in body["detail"]
        assert "deploy" in body["detail"]
        assert "dead-letters skip" in body["detail"]
        assert '"ten"' not in response.text
    for path in ("/accounts/alice", "/accounts/alice?version=3", "/accounts/alice?at=2100-01-01T00:00:00Z"):
        assert problem(await http.get(path))["sequenceNumber"] == 3
    assert store.version("alice").number == 3
    # What came before it, the history as it is stored, and every other account are read as ever.
    assert (await http.get("/accounts/alice?version=2")).json()["balance"] == "2.00"
    assert len((await http.get("/accounts/alice/events")).json()["events"]) == 3
    assert (await http.post("/accounts/bob/deposits", json=DEPOSIT)).status_code == 201
    metrics = (await http.get("/metrics")).text
    assert 'kinfold_writer_commands_total{command="deposit",outcome="unreadable"} 3.0' in metrics


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        (structs.replace(stored_event(number=2), payload="[]"), "payload of FundsDeposited"),
        (structs.replace(stored_event(number=2), event_type="BonusGranted"), "unknown event type 'BonusGranted'"),
        (structs.replace(stored_event(number=2), payload=READABLE.replace(":1", ":9")), "newer than 1"),
    ],
    ids=["no object", "unknown type", "newer schema"],
)
async def test_whatever_is_wrong_with_it(
    http: httpx.AsyncClient, store: EventStore, clients: Clients, ledger_tables: Names, broken: Any, words: str
) -> None:
    deposit(store, "alice")
    clients.dynamodb.put_item(TableName=ledger_tables.events, Item=broken.to_item())
    assert words in problem(await http.post("/accounts/alice/deposits", json=DEPOSIT))["detail"]
    clients.dynamodb.put_item(TableName=ledger_tables.events, Item=stored_event(number=2).to_item())
    assert (await http.post("/accounts/alice/deposits", json=DEPOSIT)).json()["version"] == 3


async def test_a_page_that_shows_it_and_a_history_with_a_hole_say_so_too(
    http: httpx.AsyncClient, store: EventStore, clients: Clients, ledger_tables: Names
) -> None:
    deposit(store, "alice")
    no_json = structs.replace(stored_event(number=2), payload="{")
    clients.dynamodb.put_item(TableName=ledger_tables.events, Item=no_json.to_item())
    assert problem(await http.get("/accounts/alice/events"))["sequenceNumber"] == 2
    deposit(store, "carol")
    clients.dynamodb.put_item(TableName=ledger_tables.events, Item=stored_event("carol", 3).to_item())
    body = problem(await http.post("/accounts/carol/deposits", json=DEPOSIT))
    assert "event 2 is missing" in body["detail"]
    assert "sequenceNumber" not in body
