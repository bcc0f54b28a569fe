"""A console over real tables, asked as a browser asks it."""

from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from betting.projections import PROJECTIONS
from console.http.app import build_console
from console.http.pages import aggregates, steps
from console.http.site import Site, build_site
from console.settings import ConsoleSettings
from ledger.runtime.aws import Clients
from ledger.store.tables import Names
from projector.engine.provisioning import prepare
from tests.support.aws.tables import made_bridge
from tests.support.waiting import PATIENCE

MakeSite = Callable[..., Site]
#: Where the test's browser finds the console.
ORIGIN = "http://127.0.0.1:6070"


@pytest.fixture(autouse=True)
def a_page_waits_for_what_it_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    """However busy the machine is. A test of what is shown before its history is read sets its own ``WAIT``."""
    for module in (aggregates, steps):
        monkeypatch.setattr(module, "WAIT", PATIENCE)


@pytest.fixture
def make_site(aws_endpoint: str, clients: Clients, names: Names, child_env: dict[str, str]) -> Iterator[MakeSite]:
    """Makes a console's parts on the test's profile, with settings on top; all tables are there."""
    made_bridge(clients, names, 1)
    prepare(clients.dynamodb, names, PROJECTIONS)
    with ThreadPoolExecutor(4) as executor:

        def make(**settings: Any) -> Site:
            given = {"profile": names.profile, "endpoint_url": aws_endpoint, "failover_time": 1, "access": "off"}
            read = ConsoleSettings.model_validate(given | settings)
            return build_site(read, clients, read.guard("127.0.0.1"), executor, child_env)

        yield make


@asynccontextmanager
async def browser(site: Site, **headers: str) -> AsyncIterator[httpx.AsyncClient]:
    """A browser at the console: it keeps cookies, and follows nothing by itself."""
    transport = httpx.ASGITransport(build_console(site), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url=ORIGIN, headers=headers, timeout=60) as client:
        yield client
        await site.jobs.stop()
