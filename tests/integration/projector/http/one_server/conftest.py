"""A projector's web server over its real read models, one for all tests of a module."""

from collections.abc import AsyncIterator, Iterator
from typing import Any, Final, cast

import boto3
import httpx
import pytest
import pytest_asyncio
from aiohttp.test_utils import TestServer

from betting.projections import PROJECTIONS
from kinfold.demo.disposable import delete_profile, disposable_profile
from ledger.runtime.aws import Clients
from ledger.runtime.settings import Settings
from ledger.store.stored_event import StoredEvent
from ledger.store.tables import Names
from projector.app import ProjectorApp, build_app
from projector.engine.provisioning import prepare
from projector.settings import ProjectorSettings
from tests.integration.projector.conftest import deliver
from tests.support.aws.tables import made_tables

DAYS: Final = ("2026-01-01", "2026-01-02", "2026-01-05")


@pytest.fixture(scope="module")
def profile() -> str:
    """One for all requests: none of them changes anything."""
    return disposable_profile("test-")


@pytest.fixture(scope="module")
def clients(aws_endpoint: str, aws_session: boto3.session.Session, profile: str) -> Iterator[Clients]:
    clients = Clients(Settings.model_validate({"profile": profile, "endpoint_url": aws_endpoint}), session=aws_session)
    yield clients
    delete_profile(clients, profile)


@pytest.fixture(scope="module")
def ledger_tables(clients: Clients, profile: str) -> Names:
    return made_tables(clients.dynamodb, Names(profile))


@pytest.fixture(scope="module")
def built(aws_endpoint: str, clients: Clients, ledger_tables: Names, profile: str) -> Iterator[ProjectorApp]:
    """A projector that has seen alice on three days, and mallory's first event, which is none of hers."""
    prepare(clients.dynamodb, ledger_tables, PROJECTIONS)
    settings = ProjectorSettings.model_validate({"profile": profile, "endpoint_url": aws_endpoint, "access": "off"})
    access, bound = settings.claim("127.0.0.1", 0)
    built = build_app(settings, clients, access, bound)
    components, handler = built.components, built.components.batch_handler()
    payload = '{"schemaVersion":1,"amount":"5.00","currency":"EUR"}'
    for number, day in enumerate(DAYS, 1):
        at = f"{day}T12:00:00.000000+00:00"
        deliver(handler, components, StoredEvent("alice", number, "account", "FundsDeposited", payload, at, "c"))
        deliver(handler, components, unheard := StoredEvent("mallory", 1, "account", "Unheard", "{}", at, "c"))
    clients.dynamodb.put_item(TableName=ledger_tables.events, Item=unheard.to_item())
    yield built
    built.executor.shutdown()
    bound.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def http(built: ProjectorApp) -> AsyncIterator[httpx.AsyncClient]:
    async with (
        TestServer(await cast(Any, built.faust.web).wsgi()) as server,
        httpx.AsyncClient(base_url=str(server.make_url("")), trust_env=False, timeout=30) as client,
    ):
        yield client
