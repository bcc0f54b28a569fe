"""A page of a history begins at what proves itself to be the fold of the events before it, and reads no more."""

import asyncio
from functools import partial

import httpx
import pytest

from ledger.runtime.aws import Clients
from ledger.store.snapshots import SnapshotStore
from ledger.store.tables import Names
from tests.support.aws.consumption import consumption
from tests.support.waiting import until

pytestmark = pytest.mark.integration

EVENTS = 12
#: The fixtures' interval is five.
SNAPSHOT = 10


@pytest.fixture
async def stored(http: httpx.AsyncClient, clients: Clients, ledger_tables: Names) -> SnapshotStore:
    """An account of some events, with the snapshot behind them."""
    for number in range(1, EVENTS + 1):
        body = {"amount": str(number), "currency": "EUR"}
        assert (await http.post("/accounts/alice/deposits", json=body)).status_code == 201
    store = SnapshotStore(clients.dynamodb, ledger_tables.snapshots)

    def found() -> bool:
        item = store.find("alice")
        return item is not None and item["version"]["N"] == str(SNAPSHOT)

    await asyncio.to_thread(partial(until, found))
    return store


async def shown(http: httpx.AsyncClient, first: int, limit: int) -> list[str]:
    answer = await http.get(f"/accounts/alice/history?from={first}&limit={limit}")
    assert answer.status_code == 200, answer.text
    return [step["state"]["balance"] for step in answer.json()["history"]]


def balances(first: int, last: int) -> list[str]:
    return [f"{sum(range(1, number + 1))}.00" for number in range(first, last + 1)]


@pytest.mark.parametrize(
    ("first", "calls"), [(1, {"Query": 1}), (SNAPSHOT, {"GetItem": 1, "Query": 1}), (12, {"GetItem": 1, "Query": 1})]
)
async def test_a_page_costs_a_query_and_a_look_for_a_snapshot(
    http: httpx.AsyncClient, clients: Clients, stored: SnapshotStore, first: int, calls: dict[str, int]
) -> None:
    with consumption(clients) as counts:
        assert await shown(http, first, 2) == balances(first, min(first + 1, EVENTS))
    assert counts.requests == calls


async def test_only_what_the_event_proves_is_gone_on_from(
    http: httpx.AsyncClient, clients: Clients, stored: SnapshotStore
) -> None:
    whole = balances(1, EVENTS)
    for first in range(1, EVENTS + 1):
        assert await shown(http, first, 500) == whole[first - 1 :]
    snapshot = stored.find("alice")
    assert snapshot is not None
    for change in ({"eventHash": {"S": "another"}}, {"version": {"N": "11"}}, {"schemaVersion": {"N": "99"}}):
        # Of another event, of another state, of a code that is not here; and the balance in it would be seen.
        worthless = {**snapshot, "state": {"S": snapshot["state"]["S"].replace("55", "99")}, **change}
        clients.dynamodb.put_item(TableName=stored.table, Item=worthless)
        assert await shown(http, EVENTS, 1) == whole[-1:], change
