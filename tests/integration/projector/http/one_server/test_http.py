"""The projector's web server over its real read models: what a reader states is evaluated or refused."""

from typing import Any

import httpx
import pytest

from projector.app import ProjectorApp
from tests.integration.projector.http.one_server.conftest import DAYS

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="module")]

LETTER = "balance-summary~mallory~1"


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
