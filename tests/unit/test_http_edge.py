"""The HTTP edge is one: writer, projector and bridge answer the same bad request alike, and name each request alike."""

from collections.abc import AsyncIterator, Callable, Iterator, MutableMapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

import httpx
import pytest
import structlog
from aiohttp.test_utils import TestServer
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from ledger.runtime import problems
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
from writer.commands.account_repository import AccountRepository
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
]
ALL: Final = {"Authorization": "Bearer kf_all"}
CHALLENGE: Final = 'Bearer realm="kinfold"'


@dataclass(frozen=True)
class Service:
    """A running service: a client of it, a GET route whose handler fails, and a POST route, if it has one."""

    http: httpx.AsyncClient
    failing: str
    post: str | None


def fail(*_: object) -> Any:
    raise RuntimeError("secret")


@asynccontextmanager
async def writer() -> AsyncIterator[Service]:
    store = MemoryStore()
    store.before_read = fail
    keys = IdempotencyKeys(cast("DynamoDBClient", store.commands), "commands", retention=60)
    settings = WriterSettings.model_validate({"profile": "unit"})
    snapshots = SnapshotWriter(cast("SnapshotStore", None), Metrics(), interval=0)
    accounts = AccountRepository(cast("EventStore", store), snapshots)
    api = build_api(accounts, keys, settings, Access(CREDENTIALS), Metrics())
    async with (
        api.router.lifespan_context(api),
        httpx.AsyncClient(transport=httpx.ASGITransport(api), base_url="http://writer") as http,
    ):
        yield Service(http, "/accounts/alice", "/accounts/alice/deposits")


@asynccontextmanager
async def projector() -> AsyncIterator[Service]:
    settings = ProjectorSettings.model_validate(
        {
            "profile": "unit",
            "endpoint_url": "http://127.0.0.1:1",
            "region": "us-east-1",
            "tokens": ",".join(map(str, CREDENTIALS)),
        }
    )
    access, bound = settings.claim("127.0.0.1", 0)
    built = build_app(settings, Clients(settings), access, bound)
    built.components.models.active = fail  # type: ignore[method-assign,assignment]
    async with TestServer(await cast(Any, built.faust.web).wsgi()) as server:
        url = str(server.make_url(""))
        async with httpx.AsyncClient(base_url=url, trust_env=False) as http:
            yield Service(http, "/balances/alice", "/dead-letters/balance-summary~alice~1/skip")
    built.executor.shutdown()
    bound.close()


class Daemon:
    """A daemon of the bridge that fails when it is asked whether it is ready."""

    registry = CollectorRegistry()
    ready: Callable[..., HealthReport] = fail

    def health(self) -> HealthReport:
        return HealthReport()

    def show(self) -> None:
        pass


@asynccontextmanager
async def bridge() -> AsyncIterator[Service]:
    guard = TableGuard(TableIdentities(cast("DynamoDBClient", None), Names("test")))
    transport = httpx.ASGITransport(build(Daemon(), Access(CREDENTIALS), guard))
    async with httpx.AsyncClient(transport=transport, base_url="http://bridge") as http:
        yield Service(http, "/ready", None)


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


@pytest.mark.parametrize(
    "headers",
    [{}, {"Authorization": f"Bearer {SECRET}"}, {"Authorization": "Basic x"}],
    ids=["none", "unknown", "basic"],
)
@pytest.mark.parametrize("path", ["/ready", "/metrics", "/nothing-here"])
async def test_a_stranger_is_challenged(
    service: Service, path: str, headers: dict[str, str], log_lines: list[MutableMapping[str, Any]]
) -> None:
    response = await service.http.get(path, headers=headers)
    is_problem(response, problems.UNAUTHENTICATED, {"WWW-Authenticate": CHALLENGE})
    assert SECRET not in response.text + str(log_lines)


async def test_a_token_without_the_scope_is_told_which(
    service: Service, log_lines: list[MutableMapping[str, Any]]
) -> None:
    response = await service.http.get("/metrics", headers={"Authorization": "Bearer kf_shop"})
    challenge = f'{CHALLENGE}, error="insufficient_scope", scope="operate"'
    is_problem(response, problems.MISSING_SCOPE, {"WWW-Authenticate": challenge})
    [line] = [line for line in log_lines if line["event"] == "missing_scope"]
    assert (line["client"], line["scope"]) == ("shop", "operate")
    assert line["correlation_id"] == response.headers["x-correlation-id"]


async def test_an_unknown_path(service: Service) -> None:
    is_problem(await service.http.get("/nothing-here", headers=ALL), problems.UNKNOWN_PATH)


async def test_a_wrong_method_is_told_the_right_ones(service: Service) -> None:
    response = await service.http.delete("/ready", headers=ALL)
    is_problem(response, problems.METHOD_NOT_ALLOWED)
    assert "GET" in response.headers["allow"]
    assert "DELETE" not in response.headers["allow"]


@pytest.mark.parametrize("media_type", ["text/plain", "application/x-www-form-urlencoded", "application/jsonx", ""])
async def test_a_post_that_is_no_json_is_refused(service: Service, media_type: str) -> None:
    if service.post is None:
        response = await service.http.post("/ready", content=b"{}", headers=ALL | {"Content-Type": media_type})
        is_problem(response, problems.METHOD_NOT_ALLOWED)
        return
    response = await service.http.post(service.post, content=b"{}", headers=ALL | {"Content-Type": media_type})
    is_problem(response, problems.UNSUPPORTED_MEDIA_TYPE)


@pytest.mark.parametrize("service", [writer, projector], ids=lambda service: service.__name__, indirect=True)
async def test_a_body_that_is_too_large_is_refused(service: Service) -> None:
    assert service.post
    response = await service.http.post(service.post, json={"reason": "x" * 100_000}, headers=ALL)
    is_problem(response, problems.BODY_TOO_LARGE)


async def test_a_post_to_the_projector_without_a_body_needs_no_media_type() -> None:
    async with projector() as service:
        assert service.post
        is_problem(await service.http.post(service.post, headers=ALL), problems.BAD_BODY)


async def test_a_failing_handler_shows_nothing_of_our_insides_and_logs_the_cause_under_the_id(
    service: Service, log_lines: list[MutableMapping[str, Any]]
) -> None:
    response = await service.http.get(service.failing, headers=ALL)
    is_problem(response, problems.INTERNAL_ERROR)
    [line] = [line for line in log_lines if line["event"] == "request_failed"]
    assert line["correlation_id"] == response.headers["x-correlation-id"]
    assert (line["path"], line["exc_info"]) == (service.failing, True)


@pytest.mark.parametrize("path", ["/health", "/nothing-here"])
@pytest.mark.parametrize("given", ["order-4711", "a" * 128, "A.b_c:d-e"])
async def test_a_correlation_id_is_echoed(service: Service, path: str, given: str) -> None:
    response = await service.http.get(path, headers={"X-Correlation-ID": given})
    assert response.headers.get_list("x-correlation-id") == [given]
    carries_the_headers_of_every_response(response)


@pytest.mark.parametrize("given", [None, "", "-a", "a b", "a" * 129, 'forged" level=info', "a{b}"])
async def test_one_that_could_forge_a_log_line_is_replaced(service: Service, given: str | None) -> None:
    response = await service.http.get("/health", headers={} if given is None else {"X-Correlation-ID": given})
    assert response.status_code == 200
    assert response.headers["x-correlation-id"] not in (given, "")


def test_each_problem_is_in_the_catalogue_once() -> None:
    catalogue = [value for value in vars(problems).values() if isinstance(value, ProblemType)]
    assert len({kind.name for kind in catalogue}) == len(catalogue) > 20
    for kind in catalogue:
        assert kind.example() == kind.of(**kind.members).body("order-4711")
        assert ("Retry-After" in kind.of().headers) == (kind.status == 503)
