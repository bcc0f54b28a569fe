from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI

from ledger.aws import Clients
from ledger.event_store import EventStore
from ledger.tables import Names
from writer.accounts import Accounts
from writer.api import build_api
from writer.settings import WriterSettings


@pytest.fixture
def store(clients: Clients, ledger_tables: Names) -> EventStore:
    return EventStore(clients.dynamodb, ledger_tables.events)


@pytest.fixture
def api(store: EventStore, profile: str) -> FastAPI:
    # Retries enough that a race among a test's own requests ends with all of them accepted.
    settings = WriterSettings.model_validate({"profile": profile, "writer_threads": 8, "writer_conflict_retries": 100})
    return build_api(Accounts(store), settings)


@pytest.fixture
async def http(api: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with (
        api.router.lifespan_context(api),
        httpx.AsyncClient(transport=httpx.ASGITransport(api), base_url="http://writer", timeout=60) as client,
    ):
        yield client
