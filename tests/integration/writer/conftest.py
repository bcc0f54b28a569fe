from collections.abc import AsyncIterator, Callable, Iterator

import httpx
import pytest
from fastapi import FastAPI

from betting import RESOURCES
from ledger.runtime.auth import Access
from ledger.runtime.aws import Clients
from ledger.store.event_store import EventStore
from ledger.store.idempotency_keys import IdempotencyKeys
from ledger.store.snapshots import SnapshotStore
from ledger.store.table_identity import CLOSE_INTERVAL, TableGuard, TableIdentities
from ledger.store.tables import Names
from writer.commands.aggregate_repository import AggregateRepository
from writer.commands.snapshot_writer import SnapshotWriter
from writer.http.app import build_api
from writer.metrics import Metrics
from writer.settings import WriterSettings


@pytest.fixture
def guard(make_clients: Callable[[], Clients], ledger_tables: Names) -> Iterator[TableGuard]:
    """On clients of its own: a test may count, or befall, the calls of the others."""
    with TableGuard(TableIdentities(make_clients().dynamodb, ledger_tables), interval=CLOSE_INTERVAL).watching() as it:
        yield it


@pytest.fixture
def store(clients: Clients, ledger_tables: Names, guard: TableGuard) -> EventStore:
    return EventStore(clients.dynamodb, ledger_tables.events, guard=guard.check, table_id=guard.table_id)


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def keys(clients: Clients, ledger_tables: Names) -> IdempotencyKeys:
    return IdempotencyKeys(clients.dynamodb, ledger_tables.commands, retention=3600)


@pytest.fixture
def snapshots(clients: Clients, ledger_tables: Names, metrics: Metrics) -> Iterator[SnapshotWriter]:
    snapshots = SnapshotWriter(SnapshotStore(clients.dynamodb, ledger_tables.snapshots), metrics, interval=5)
    yield snapshots
    snapshots.close(timeout=20)


@pytest.fixture
def accounts(store: EventStore, snapshots: SnapshotWriter) -> AggregateRepository:
    return AggregateRepository(store, snapshots, held=100)


@pytest.fixture
def api(accounts: AggregateRepository, keys: IdempotencyKeys, metrics: Metrics, profile: str) -> FastAPI:
    # Patience enough that a race among a test's own requests ends with all of them accepted.
    settings = WriterSettings.model_validate(
        {
            "profile": profile,
            "writer_threads": 8,
            "writer_queue": 200,
            "writer_queue_wait": 60,
            "writer_conflict_retries": 100,
            "writer_patience": 60,
        }
    )
    return build_api(RESOURCES, accounts, keys, settings, Access(None), metrics)


@pytest.fixture
async def http(api: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with (
        api.router.lifespan_context(api),
        httpx.AsyncClient(transport=httpx.ASGITransport(api), base_url="http://writer", timeout=60) as client,
    ):
        yield client
