"""Who may look and act: nobody without a session, no form of anybody else, and nothing for a page of another site."""

import re

import httpx
import pytest
from fastapi.routing import APIRoute

from console.access.attempts import BY_ADDRESS
from console.http.app import PAGES
from console.http.guard import COOKIE
from ledger.runtime.auth import OPERATIONS_PATHS, Credential, Principal, Scope, digest
from ledger.store.event_store import EventStore
from tests.integration.console.conftest import MakeSite, browser
from tests.support.accounts import deposit

pytestmark = pytest.mark.integration

LOOKS, OPERATES, WRITES = "kf_looks", "kf_operates", "kf_writes"
TOKENS = tuple(
    Credential(Principal(name, frozenset(scopes)), digest(token))
    for name, token, scopes in (
        ("ann", LOOKS, {Scope.READ}),
        ("op", OPERATES, {Scope.READ, Scope.OPERATE}),
        ("shop", WRITES, {Scope.WRITE}),
    )
)
GUARDED = {"access": "tokens", "tokens": ",".join(map(str, TOKENS))}


async def signed_in(client: httpx.AsyncClient, token: str) -> httpx.Response:
    return await client.post("/sign-in", data={"token": token})


def csrf(page: str) -> str:
    found = re.search(r'name="csrf" value="([^"]+)"', page)
    assert found is not None
    return found[1]


async def test_nothing_is_shown_or_done_without_a_session(make_site: MakeSite) -> None:
    site = make_site(**GUARDED)
    routes = [route for page in PAGES for route in page.router.routes if isinstance(route, APIRoute)]
    assert len(routes) > 20
    async with browser(site) as client:
        for route in routes:
            path = re.sub(r"\{[^}]+\}", "x", route.path)
            for method in route.methods or ():
                if path in ("/health", "/sign-in"):
                    continue
                if path in OPERATIONS_PATHS:
                    assert (await client.get(path)).status_code == 401
                    operates = {"Authorization": f"Bearer {OPERATES}"}
                    assert (await client.get(path, headers=operates)).status_code == 200
                    continue
                answer = await client.request(method, path)
                assert (answer.status_code, answer.headers["location"][:9]) == (303, "/sign-in?"), route.path
                assert answer.text == ""
        assert (await client.get("/aggregates", headers={"Cookie": f"{COOKIE}=guessed"})).status_code == 303
        assert (await client.get("/health")).json() == {"status": "ok"}
        assert site.sessions.find("x") is None


async def test_a_token_that_reads_looks_and_acts_on_nothing(make_site: MakeSite) -> None:
    async with browser(make_site(**GUARDED)) as client:
        begun = await signed_in(client, LOOKS)
        assert begun.status_code == 303
        cookie = begun.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=strict" in cookie
        page = await client.get("/operations/hold")
        assert "no scope operate" in page.text
        refused = await client.post("/operations/hold", data={"reason": "x", "csrf": csrf(page.text)})
        assert (refused.status_code, "Only to look" in refused.text) == (403, True)
        assert "set-cookie" not in page.headers


async def test_raw_payloads_are_for_those_who_operate(make_site: MakeSite) -> None:
    site = make_site(**GUARDED)
    deposit(EventStore(site.components.clients.dynamodb, site.components.names.events), "alice")
    for token, sees in ((LOOKS, False), (OPERATES, True)):
        async with browser(site) as client:
            await signed_in(client, token)
            step = await client.get("/aggregates/account/alice/steps/1")
            assert step.status_code == 200
            assert ("&#34;amount&#34;" in step.text) is sees


async def test_signing_in_is_refused_without_a_token_that_looks_and_bounded(make_site: MakeSite) -> None:
    site = make_site(**GUARDED)
    async with browser(site) as client:
        assert (await signed_in(client, WRITES)).status_code == 403
        for _ in range(BY_ADDRESS):
            refused = await signed_in(client, "kf_guessed")
            assert (refused.status_code, "kf_guessed" in refused.text) == (401, False)
        bounded = await signed_in(client, OPERATES)
        assert (bounded.status_code, int(bounded.headers["retry-after"]) > 0) == (429, True)
        assert site.sessions.find(client.cookies.get(COOKIE)) is None


@pytest.mark.parametrize("after", ["//evil.example", "/\\evil.example", "https://evil.example", "/\t/evil.example"])
async def test_after_signing_in_nobody_is_led_away(make_site: MakeSite, after: str) -> None:
    async with browser(make_site(**GUARDED)) as client:
        begun = await client.post("/sign-in", params={"next": after}, data={"token": LOOKS})
        assert begun.headers["location"] == "/"


async def test_only_a_form_that_was_served_to_the_session_is_taken(make_site: MakeSite) -> None:
    site = make_site(**GUARDED)
    async with browser(site) as client, browser(site) as another:
        await signed_in(client, OPERATES)
        await signed_in(another, OPERATES)
        theirs = csrf((await another.get("/operations/hold")).text)
        for form in ({}, {"csrf": ""}, {"csrf": theirs}):
            refused = await client.post("/operations/hold", data={"reason": "x", **form})
            assert (refused.status_code, "An old form" in refused.text) == (403, True)
        assert site.jobs.all == []


async def test_whoever_signs_out_is_out(make_site: MakeSite) -> None:
    async with browser(make_site(**GUARDED)) as client:
        await signed_in(client, LOOKS)
        before = client.cookies.get(COOKIE)
        assert (await client.post("/sign-out", data={"csrf": csrf((await client.get("/")).text)})).status_code == 303
        assert (await client.get("/", headers={"Cookie": f"{COOKIE}={before}"})).status_code == 303


async def test_an_open_console_is_for_its_address_alone_and_no_page_of_another_origin_acts(make_site: MakeSite) -> None:
    site = make_site()
    async with browser(site) as client:
        page = await client.get("/operations/hold")
        assert page.status_code == 200
        rebound = await client.get("/", headers={"Host": "evil.example"})
        assert (rebound.status_code, "set-cookie" in rebound.headers) == (421, False)
        for headers in ({"Origin": "http://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
            form = {"reason": "x", "csrf": csrf(page.text)}
            assert (await client.post("/operations/hold", data=form, headers=headers)).status_code == 403
        assert site.jobs.all == []


@pytest.mark.parametrize(
    "body",
    [b"a=1&a=2", b"\xff=1", b"x" * 70_000, b"&".join(b"f%d=1" % n for n in range(60))],
    ids=lambda body: body[:9],
)
async def test_a_form_that_no_browser_sends_is_refused(make_site: MakeSite, body: bytes) -> None:
    async with browser(make_site()) as client:
        await client.get("/")
        assert (await client.post("/operations/hold", content=body)).status_code == 400
