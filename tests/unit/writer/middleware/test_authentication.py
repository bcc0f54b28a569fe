"""Access: every route of the app is walked with no token, a wrong one, and each that is too small."""

from collections.abc import AsyncIterator, Iterator, MutableMapping
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from starlette.routing import BaseRoute, Route

from betting import RESOURCES
from ledger.runtime.auth import OPEN_PATHS, Access, Credential, Principal, Scope, digest
from ledger.runtime.openapi.docs_page import PATHS
from ledger.store.idempotency_keys import IdempotencyKeys
from tests.unit.writer.conftest import MemoryStore
from writer.commands.aggregate_repository import AggregateRepository
from writer.http.app import build_api
from writer.metrics import Metrics
from writer.middleware.authentication import needed_scope
from writer.settings import WriterSettings

TOKENS = {scope: f"kf_{scope}-only" for scope in Scope}
DEPOSIT = {"amount": "5.00", "currency": "EUR"}


@pytest.fixture
def api(accounts: AggregateRepository, keys: IdempotencyKeys, settings: WriterSettings) -> FastAPI:
    credentials = [Credential(Principal(scope, frozenset({scope})), digest(token)) for scope, token in TOKENS.items()]
    return build_api(RESOURCES, accounts, keys, settings, Access(credentials), Metrics())


@pytest.fixture
async def http(api: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(api), base_url="http://writer") as client:
        yield client


def endpoints(routes: list[BaseRoute]) -> Iterator[tuple[str, str]]:
    """Method and path of every route, whatever it is made of."""
    for route in routes:
        inner = getattr(route, "routes", None) or getattr(getattr(route, "original_router", None), "routes", None)
        if inner:
            yield from endpoints(inner)
        else:
            assert isinstance(route, Route), f"a route of another kind, which this walk does not know: {route}"
            path = route.path.replace("{accountId}", "alice").replace("{betId}", "derby")
            yield from ((method, path) for method in route.methods or ())


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def refused(answer: httpx.Response, status: int, name: str) -> None:
    assert answer.status_code == status, answer.request.url
    if answer.request.method != "HEAD":
        assert answer.json()["type"] == f"urn:kinfold:problem:{name}"
    assert answer.headers["www-authenticate"].startswith('Bearer realm="kinfold"')
    assert answer.headers["content-type"] == "application/problem+json"


async def test_every_route_that_shows_what_is_stored_refuses_whoever_may_not_use_it(
    api: FastAPI, http: httpx.AsyncClient, store: MemoryStore, opened: str
) -> None:
    walked = set(endpoints(list(api.routes)))
    assert {path for _, path in walked} >= {
        "/accounts/alice",
        "/accounts/alice/events",
        "/accounts/alice/deposits",
        "/accounts/alice/withdrawals",
        "/accounts/alice/bets",
        "/accounts/alice/bets/derby/settlement",
        "/health",
        "/ready",
        "/metrics",
        "/accounts/alice/history",
    }
    assert {path for _, path in walked} >= OPEN_PATHS
    for method, path in {(method, path) for method, path in walked if path not in OPEN_PATHS}:
        refused(await http.request(method, path), 401, "unauthenticated")
        refused(await http.request(method, path, headers=bearer("kf_wrong")), 401, "unauthenticated")
        needed = needed_scope(method, path)
        assert needed is not None
        for scope in set(Scope) - {needed}:
            answer = await http.request(method, path, headers=bearer(TOKENS[scope]))
            refused(answer, 403, "missing-scope")
            assert f'scope="{needed}"' in answer.headers["www-authenticate"]
        assert (await http.request(method, path, headers=bearer(TOKENS[needed]))).status_code not in (401, 403)
    assert len(store.stored["alice"]) == 1


async def test_health_tells_anybody_and_nothing_else_does(http: httpx.AsyncClient) -> None:
    assert {"/health", *PATHS} == OPEN_PATHS
    assert (await http.get("/health")).json() == {"status": "ok"}
    for path in ("/health/", "//health", "/healthz", "/", "/accounts/health", "/nothing"):
        refused(await http.get(path), 401, "unauthenticated")


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "BREW"])
def test_only_reading_needs_the_scope_read(method: str) -> None:
    assert needed_scope(method, "/accounts/x") == ("read" if method in ("GET", "HEAD", "OPTIONS") else "write")
    assert needed_scope(method, "/ready") == needed_scope(method, "/metrics") == "operate"


async def test_a_stranger_is_refused_before_the_body_is_read(http: httpx.AsyncClient) -> None:
    for content in (b"{broken", b"x" * 100_000):
        answer = await http.post("/accounts/alice/deposits", content=content)
        refused(answer, 401, "unauthenticated")


async def test_the_caller_is_named_in_the_log_and_no_token_is(
    http: httpx.AsyncClient, log_lines: list[MutableMapping[str, Any]]
) -> None:
    answer = await http.post("/accounts/alice/deposits", json=DEPOSIT, headers=bearer(TOKENS[Scope.WRITE]))
    assert answer.status_code == 201
    await http.post("/accounts/alice/deposits", json=DEPOSIT, headers=bearer(TOKENS[Scope.READ]))
    await http.post("/accounts/alice/deposits", json=DEPOSIT, headers=bearer("kf_wrong"))
    [line] = [line for line in log_lines if line["event"] == "command"]
    assert line["client"] == "write"
    assert "kf_" not in str(log_lines)


async def test_the_document_names_the_scope_of_every_operation(api: FastAPI) -> None:
    document = api.openapi()
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            needed = needed_scope(method.upper(), path)
            assert operation.get("security") == (None if needed is None else [{"token": []}]), path
            assert needed is None or f"`{needed}`" in operation["description"]


async def test_every_answer_has_security_headers(http: httpx.AsyncClient) -> None:
    read = bearer(TOKENS[Scope.READ])
    answers = [
        await http.get("/health"),
        await http.get("/metrics"),
        await http.get("/accounts/nobody", headers=read),
        await http.get("/openapi.json", headers=read),
    ]
    for answer in answers:
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["x-frame-options"] == "DENY"
    assert "default-src 'none'; script-src 'self'; " in (await http.get("/docs")).headers["content-security-policy"]
