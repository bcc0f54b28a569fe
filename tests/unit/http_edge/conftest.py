"""The three services in this process, writer, projector and bridge, each with a route that fails."""

from collections.abc import AsyncIterator, Callable, Iterator, MutableMapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

import httpx
import pytest
import structlog
from aiohttp.test_utils import TestServer
from prometheus_client import CollectorRegistry
from starlette.routing import BaseRoute, Route
from structlog.testing import capture_logs

from betting import RESOURCES
from ledger.runtime.auth import Access, Credential, Principal, Scope, digest
from ledger.runtime.aws import Clients
from ledger.runtime.problems import SECURITY_HEADERS, ProblemType
from ledger.store.idempotency_keys import IdempotencyKeys
from ledger.store.snapshots import SnapshotStore
from ledger.store.table_identity import TableGuard, TableIdentities
from ledger.store.tables import Names
from projector.app import build_app
from projector.settings import ProjectorSettings
from stream_bridge.daemon_http import HealthReport, build
from tests.unit.writer.conftest import MemoryStore
from writer.commands.aggregate_repository import AggregateRepository
from writer.commands.snapshot_writer import SnapshotWriter
from writer.http.app import build_api
from writer.metrics import Metrics
from writer.settings import WriterSettings

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

    from ledger.store.event_store import EventStore

SECRET: Final = "kf_of-nobody"
CREDENTIALS: Final = [
    Credential(Principal("all", frozenset(Scope)), digest("kf_all")),
    Credential(Principal("shop", frozenset({Scope.READ, Scope.WRITE})), digest("kf_shop")),
    Credential(Principal("ops", frozenset({Scope.OPERATE})), digest("kf_operate")),
]
CLOSED: Final = Access(CREDENTIALS)
ALL: Final = {"Authorization": "Bearer kf_all"}
CHALLENGE: Final = 'Bearer realm="kinfold"'


@dataclass(frozen=True)
class Service:
    """A running service: a client of it, a GET route whose handler fails, a POST route, if it has one, and all routes.

    ``routes``: method and path of each, as its framework has them.
    """

    http: httpx.AsyncClient
    failing: str
    post: str | None
    routes: frozenset[tuple[str, str]]


def fail(*_: object) -> Any:
    raise RuntimeError("secret")


def starlette_routes(routes: Sequence[BaseRoute]) -> frozenset[tuple[str, str]]:
    found = set[tuple[str, str]]()
    for route in routes:
        inner = getattr(route, "routes", None) or getattr(getattr(route, "original_router", None), "routes", None)
        if inner:
            found |= starlette_routes(inner)
        else:
            assert isinstance(route, Route), f"a route of another kind, which this walk does not know: {route}"
            found |= {(method, route.path) for method in route.methods or ()}
    return frozenset(found)


@asynccontextmanager
async def writer(access: Access = CLOSED) -> AsyncIterator[Service]:
    store = MemoryStore()
    store.before_read = fail
    keys = IdempotencyKeys(cast("DynamoDBClient", store.commands), "commands", retention=60)
    settings = WriterSettings.model_validate({"profile": "unit"})
    snapshots = SnapshotWriter(cast("SnapshotStore", None), Metrics(), interval=0)
    accounts = AggregateRepository(cast("EventStore", store), snapshots)
    api = build_api(RESOURCES, accounts, keys, settings, access, Metrics())
    async with (
        api.router.lifespan_context(api),
        httpx.AsyncClient(transport=httpx.ASGITransport(api), base_url="http://writer") as http,
    ):
        yield Service(http, "/accounts/alice", "/accounts/alice/deposits", starlette_routes(api.routes))


@asynccontextmanager
async def projector(access: Access = CLOSED) -> AsyncIterator[Service]:
    settings = ProjectorSettings.model_validate(
        {
            "profile": "unit",
            "endpoint_url": "http://127.0.0.1:1",
            "region": "us-east-1",
            "tokens": ",".join(map(str, CREDENTIALS)),
            "access": "off" if access.open else "tokens",
        }
    )
    access, bound = settings.claim("127.0.0.1", 0)
    built = build_app(settings, Clients(settings), access, bound)
    built.components.models.active = fail  # type: ignore[method-assign,assignment]
    async with TestServer(await cast(Any, built.faust.web).wsgi()) as server:
        url = str(server.make_url(""))
        async with httpx.AsyncClient(base_url=url, trust_env=False) as http:
            routes = {
                (each.method, each.resource.canonical)
                for each in cast(Any, built.faust.web).web_app.router.routes()
                if each.resource is not None
            }
            yield Service(http, "/balances/alice", "/dead-letters/balance-summary~alice~1/skip", frozenset(routes))
    built.executor.shutdown()
    bound.close()


class Daemon:
    """A daemon of the bridge that fails when it is asked whether it is ready."""

    ready: Callable[..., HealthReport] = fail

    def __init__(self) -> None:
        self.registry = CollectorRegistry()

    def health(self) -> HealthReport:
        return HealthReport()

    def show(self) -> None:
        pass


@asynccontextmanager
async def bridge(access: Access = CLOSED) -> AsyncIterator[Service]:
    guard = TableGuard(TableIdentities(cast("DynamoDBClient", None), Names("test")))
    app = build(Daemon(), access, guard)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://bridge") as http:
        yield Service(http, "/ready", None, starlette_routes(app.routes))


@pytest.fixture(autouse=True)
def log_lines(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[MutableMapping[str, Any]]]:
    """What is logged, kept instead of printed. Clients are made and never call."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    with capture_logs(processors=(structlog.contextvars.merge_contextvars,)) as lines:
        yield lines


@pytest.fixture(params=[writer, projector, bridge], ids=lambda service: service.__name__)
async def service(request: pytest.FixtureRequest) -> AsyncIterator[Service]:
    async with request.param() as running:
        yield running


def is_problem(response: httpx.Response, kind: ProblemType, headers: dict[str, str] | None = None) -> None:
    assert response.status_code == kind.status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body = response.json()
    assert (body["type"], body["status"]) == (f"urn:kinfold:problem:{kind.name}", kind.status)
    assert (body["title"], set(body)) == (kind.title, {"type", "title", "status", "detail", "correlationId"})
    assert body["correlationId"] == response.headers["x-correlation-id"]
    carries_the_headers_of_every_response(response)
    for name in ("WWW-Authenticate", "Retry-After"):
        assert response.headers.get(name) == (headers or {}).get(name)
    assert "secret" not in response.text


def carries_the_headers_of_every_response(response: httpx.Response) -> None:
    assert response.headers["x-correlation-id"]
    assert "server" not in response.headers
    assert {name: response.headers.get(name) for name in SECURITY_HEADERS} == SECURITY_HEADERS


def is_malformed(response: httpx.Response, field: str) -> None:
    assert response.status_code == 400, response.text
    body = response.json()
    assert (body["type"], body["errors"][0]["field"]) == ("urn:kinfold:problem:malformed-request", field)
    carries_the_headers_of_every_response(response)
