"""The projector's web server over its real read models: what a reader states is evaluated or refused."""

from collections.abc import AsyncIterator, Iterator
from typing import Any, cast

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

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="module")]

DAYS = ("2026-01-01", "2026-01-02", "2026-01-05")
LETTER = "balance-summary~mallory~1"


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
    built = build_app(settings, clients, *settings.claim("127.0.0.1", 0))
    components, handler = built.components, built.components.batch_handler()
    payload = '{"schemaVersion":1,"amount":"5.00","currency":"EUR"}'
    for number, day in enumerate(DAYS, 1):
        at = f"{day}T12:00:00.000000+00:00"
        deliver(handler, components, StoredEvent("alice", number, "account", "FundsDeposited", payload, at, "c"))
        deliver(handler, components, unheard := StoredEvent("mallory", 1, "account", "Unheard", "{}", at, "c"))
    clients.dynamodb.put_item(TableName=ledger_tables.events, Item=unheard.to_item())
    yield built
    built.executor.shutdown()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def http(built: ProjectorApp) -> AsyncIterator[httpx.AsyncClient]:
    async with (
        TestServer(await cast(Any, built.faust.web).wsgi()) as server,
        httpx.AsyncClient(base_url=str(server.make_url("")), trust_env=False, timeout=30) as client,
    ):
        yield client


def is_refused(response: httpx.Response, words: str) -> None:
    assert response.status_code == 400, response.text
    assert words in response.json()["detail"]


@pytest.mark.parametrize(
    ("query", "days"),
    [
        ("", DAYS),
        ("?from=2026-01-02", DAYS[1:]),
        ("?to=2026-01-02", DAYS[:2]),
        ("?from=2026-01-02&to=2026-01-02", DAYS[1:2]),
        ("?from=2026-01-03&to=2026-01-04", ()),
        ("?from=0001-01-01&to=9999-12-31&limit=1", DAYS[:1]),
    ],
)
async def test_activity_is_shown_for_a_period(http: httpx.AsyncClient, query: str, days: tuple[str, ...]) -> None:
    answer = await http.get(f"/activity/alice{query}")
    assert [day["day"] for day in answer.json()["days"]] == list(days)


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("from=2026-01-02&to=2026-01-01", "from: 2026-01-02 is after 2026-01-01"),
        ("from=yesterday", "from: a day is written like 2026-01-31"),
        ("from=", "from: a day is written like 2026-01-31"),
        ("to=20260102", "to: a day is written like 2026-01-31"),
        ("to=2026-W01-1", "to: a day is written like 2026-01-31"),
        ("to=2026-02-30", "to: a day is written like 2026-01-31"),
        ("to=2026-01-02T00:00:00Z", "to: a day is written like 2026-01-31"),
        ("from=!", "from: a day is written like 2026-01-31"),
        ("from=%00", "control character"),
        ("from=2026-01-01&from=2026-01-02", "from: is given twice"),
        ("since=2026-01-01", "since: is no query parameter here"),
    ],
)
async def test_a_period_that_is_none_is_refused(http: httpx.AsyncClient, query: str, words: str) -> None:
    is_refused(await http.get(f"/activity/alice?{query}"), words)


async def test_a_projection_without_parts_knows_no_period(http: httpx.AsyncClient) -> None:
    is_refused(await http.get("/balances/alice?from=2026-01-01"), "from: is no query parameter here")


@pytest.mark.parametrize("path", ["/balances/alice", "/activity/alice", "/activity/alice?from=2026-01-02"])
async def test_a_read_evaluates_its_conditions(http: httpx.AsyncClient, path: str) -> None:
    first = await http.get(path)
    tag = first.headers["etag"]
    same = await http.get(path, headers=[("If-None-Match", '"0"'), ("If-None-Match", tag)])
    assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", tag)
    assert (await http.get(path, headers={"If-None-Match": f'{tag[:-1]}0"'})).status_code == 200
    assert (await http.get(path, headers={"If-Match": tag})).json() == first.json()
    assert (await http.get(path, headers={"If-Match": '"3"'})).status_code == 412
    is_refused(await http.get(path, headers={"If-Match": "3"}), "If-Match")


async def test_a_tag_is_of_what_is_shown_and_not_of_the_version_alone(http: httpx.AsyncClient) -> None:
    tags = [(await http.get(f"/activity/alice{query}")).headers["etag"] for query in ("", "?limit=1", "?to=2026-01-02")]
    assert len(set(tags)) == 3
    assert all(tag.startswith('"3-') for tag in tags)


@pytest.mark.parametrize(
    "query", ["aggregate=", "aggregate=a/b", "aggregate=" + "a" * 129, "state=closed", "state=open&state=all"]
)
async def test_a_choice_of_letters_that_is_none_is_refused(http: httpx.AsyncClient, query: str) -> None:
    assert (await http.get(f"/dead-letters?{query}")).status_code == 400
    assert len((await http.get("/dead-letters?aggregate=mallory")).json()["deadLetters"]) == 2


async def test_a_letter_of_an_id_that_none_has_is_unknown(http: httpx.AsyncClient) -> None:
    for letter_id in ("x", "x" * 3000, "%C3%A4" * 600):
        assert (await http.get(f"/dead-letters/{letter_id}")).status_code == 404


@pytest.mark.parametrize(
    ("query", "body", "words"),
    [
        ("?dry_run=yes", None, "dry_run is true or false"),
        ("?dry_run=True", None, "dry_run is true or false"),
        ("?dry-run=true", None, "dry-run: is no query parameter here"),
        ("?dry_run=true&dry_run=false", None, "dry_run: is given twice"),
        ("", {"dry_run": True}, "a redrive takes nothing in its body"),
        ("", [], "a redrive takes nothing in its body"),
    ],
)
async def test_a_redrive_that_is_meant_dry_is_never_carried_out(
    http: httpx.AsyncClient, query: str, body: Any, words: str
) -> None:
    url = f"/dead-letters/{LETTER}/redrive{query}"
    is_refused(await (http.post(url) if body is None else http.post(url, json=body)), words)
    assert (await http.get(f"/dead-letters/{LETTER}")).json()["state"] == "open"


@pytest.mark.parametrize("field", ["Idempotency-Key", "If-Match", "If-None-Match", "If-Unmodified-Since"])
async def test_a_change_evaluates_no_condition_and_refuses_each(http: httpx.AsyncClient, field: str) -> None:
    for work in ("redrive", "skip"):
        url = f"/dead-letters/{LETTER}/{work}"
        is_refused(await http.post(url, json={"reason": "x"}, headers={field: "*"}), field)
    assert (await http.get(f"/dead-letters/{LETTER}")).json()["state"] == "open"


@pytest.mark.parametrize(
    "body",
    [
        b'{"reason": "x", "reason": "y"}',
        b'{"reason": "x", "until": "tomorrow"}',
        b'{"reason": "\\ud800"}',
        b'{"reason": " "}',
        b'"x"',
        b"",
    ],
)
async def test_a_skip_says_why_and_nothing_else(http: httpx.AsyncClient, body: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    assert (await http.post(f"/dead-letters/{LETTER}/skip", content=body, headers=headers)).status_code == 400
    assert (await http.get(f"/dead-letters/{LETTER}")).json()["state"] == "open"


async def test_a_page_of_another_origin_cannot_redrive_or_skip(http: httpx.AsyncClient) -> None:
    for work in ("redrive", "skip"):
        for headers in ({"Origin": "http://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
            answer = await http.post(f"/dead-letters/{LETTER}/{work}", headers=headers)
            assert (answer.status_code, answer.json()["type"]) == (403, "urn:kinfold:problem:cross-origin")
    assert (await http.get(f"/dead-letters/{LETTER}")).json()["state"] == "open"


@pytest.mark.parametrize("path", ["/balances/alice", "/activity/alice", "/dead-letters", f"/dead-letters/{LETTER}"])
async def test_head_works_wherever_get_does(http: httpx.AsyncClient, path: str) -> None:
    head, get = await http.head(path), await http.get(path)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == get.headers["content-length"]
    assert head.headers.get("etag") == get.headers.get("etag")


@pytest.mark.parametrize("path", ["/", "/router", "/router/", "/router/x/", "/table/", "/table/x/"])
async def test_no_page_of_fausts_own_is_served(http: httpx.AsyncClient, path: str) -> None:
    assert (await http.get(path)).status_code == 404


@pytest.mark.parametrize(("decision", "result"), [("redrive", "would be redriven"), ("skip", "would be skipped")])
async def test_a_decision_is_tried_without_being_made(
    http: httpx.AsyncClient, built: ProjectorApp, decision: str, result: str
) -> None:
    letter = "/dead-letters/balance-summary~mallory~1"
    body = {"reason": "ticket 4711"} if decision == "skip" else None
    tried = await http.post(f"{letter}/{decision}?dry_run=true", json=body)
    assert (tried.status_code, tried.json().get("result")) == (200, result), tried.text
    assert (await http.get(letter)).json()["state"] == "open"
    is_refused(await http.post(f"{letter}/{decision}?dry_run=maybe", json=body), "dry_run is true or false")
    assert built.components.audit.recent() == []
