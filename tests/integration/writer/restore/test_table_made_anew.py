"""A writer beside an events table that was made anew: it reads what is there, and stores nothing before a restore."""

from datetime import UTC, datetime

import httpx
import pytest

from ledger.runtime.aws import Clients
from ledger.store.table_identity import TableGuard, TableIdentities
from ledger.store.tables import Names, ensure_table
from projector.engine.provisioning import control_specs

pytestmark = pytest.mark.integration


@pytest.fixture
def identities(clients: Clients, ledger_tables: Names) -> TableIdentities:
    for spec in control_specs(ledger_tables):
        ensure_table(clients.dynamodb, spec)
    return TableIdentities(clients.dynamodb, ledger_tables)


@pytest.fixture
def guard(identities: TableIdentities) -> TableGuard:
    guard = TableGuard(identities)
    guard.look()
    return guard


async def deposit(http: httpx.AsyncClient) -> httpx.Response:
    return await http.post("/accounts/alice/deposits", json={"amount": "1", "currency": "EUR"})


async def test_a_writer_stores_nothing_in_a_table_made_anew_until_it_is_restored(
    http: httpx.AsyncClient, identities: TableIdentities, guard: TableGuard
) -> None:
    assert (await deposit(http)).status_code == 201
    identities.restored("another table", datetime.now(UTC))
    guard.look()
    refused = await deposit(http)
    assert (refused.status_code, refused.json()["type"]) == (503, "urn:kinfold:problem:events-table-replaced")
    assert "`kinfold restore`" in refused.json()["detail"]
    assert refused.headers["retry-after"] == "60"
    ready = await http.get("/ready")
    assert (ready.status_code, "`kinfold restore`" in ready.json()["detail"]) == (503, True)
    assert (await http.get("/accounts/alice")).json()["version"] == 1
    assert (await http.get("/health")).status_code == 200
    identities.restored(identities.actual(), datetime.now(UTC))
    guard.look()
    assert (await deposit(http)).status_code == 201
    assert (await http.get("/ready")).status_code == 200
