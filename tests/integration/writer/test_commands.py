"""Commands and reads over HTTP, on a real events table."""

import asyncio
from decimal import Decimal
from typing import Any

import httpx
import pytest

from ledger.store.event_store import EventStore

pytestmark = pytest.mark.integration

EUR = {"currency": "EUR"}


async def post(http: httpx.AsyncClient, path: str, if_match: str | None = None, **body: Any) -> httpx.Response:
    headers = {"If-Match": if_match} if if_match else {}
    return await http.post(path, json=EUR | body, headers=headers)


async def test_the_life_of_an_account(http: httpx.AsyncClient, store: EventStore) -> None:
    opened = await post(http, "/accounts/alice/deposits", amount="100")
    assert opened.status_code == 201
    assert opened.headers["etag"] == '"1"'
    event = opened.json()["events"][0]
    assert opened.json() == {
        "accountId": "alice",
        "version": 1,
        "balance": "100.00",
        "currency": "EUR",
        "events": [event],
    }
    assert (event["sequenceNumber"], event["eventType"]) == (1, "FundsDeposited")
    assert event["payload"] == {"schemaVersion": 1, "amount": "100.00", "currency": "EUR"}
    assert event["correlationId"] == opened.headers["x-correlation-id"]

    balances = [
        (await post(http, path, **body)).json()["balance"]
        for path, body in (
            ("/accounts/alice/withdrawals", {"amount": "30.50"}),
            ("/accounts/alice/bets", {"betId": "b1", "stake": "20"}),
            ("/accounts/alice/bets", {"betId": "b2", "stake": "5"}),
            ("/accounts/alice/bets/b1/settlement", {"payout": "0"}),
        )
    ]
    assert balances == ["69.50", "49.50", "44.50", "44.50"]

    state = await http.get("/accounts/alice")
    assert (state.status_code, state.headers["etag"]) == (200, '"5"')
    assert state.json() == {
        "accountId": "alice",
        "version": 5,
        "currency": "EUR",
        "balance": "44.50",
        "openBets": [{"betId": "b2", "stake": "5.00"}],
    }
    assert store.version("alice").number == 5


async def test_the_location_of_a_command_is_its_events(http: httpx.AsyncClient) -> None:
    await post(http, "/accounts/alice/deposits", amount="1")
    second = await post(http, "/accounts/alice/deposits", amount="2")
    page = await http.get(second.headers["location"])
    assert page.json()["events"] == second.json()["events"]


async def test_events_come_in_pages(http: httpx.AsyncClient) -> None:
    for amount in range(1, 6):
        await post(http, "/accounts/alice/deposits", amount=str(amount))
    numbers, path, pages = [], "/accounts/alice/events?limit=2", 0
    while path:
        page = await http.get(path)
        numbers += [event["sequenceNumber"] for event in page.json()["events"]]
        path, pages = page.json()["next"], pages + 1
        assert page.links.get("next", {}).get("url") == path
    assert (numbers, pages) == ([1, 2, 3, 4, 5], 3)
    assert len((await http.get("/accounts/alice/events")).json()["events"]) == 5
    past_the_end = await http.get("/accounts/alice/events?from=6")
    assert (past_the_end.status_code, past_the_end.json()["events"]) == (200, [])


@pytest.mark.parametrize("query", ["from=0", "from=-1", "from=x", "from=" + "9" * 30, "limit=0", "limit=1001"])
async def test_a_page_that_cannot_be_is_400(http: httpx.AsyncClient, query: str) -> None:
    await post(http, "/accounts/alice/deposits", amount="1")
    response = await http.get(f"/accounts/alice/events?{query}")
    assert (response.status_code, response.json()["errors"][0]["field"]) == (400, query.split("=")[0])


@pytest.mark.parametrize("path", ["/accounts/nobody", "/accounts/nobody/events", "/accounts/nobody/events?from=5"])
async def test_an_account_without_events_is_404(http: httpx.AsyncClient, path: str) -> None:
    response = await http.get(path)
    assert (response.status_code, response.json()["type"]) == (404, "urn:kinfold:problem:unknown-account")


async def test_an_unchanged_account_is_304(http: httpx.AsyncClient) -> None:
    await post(http, "/accounts/alice/deposits", amount="1")
    same = await http.get("/accounts/alice", headers={"If-None-Match": '"1"'})
    assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", '"1"')
    assert (await http.get("/accounts/alice", headers={"If-None-Match": '"2"'})).status_code == 200


async def test_if_match_guards_a_command(http: httpx.AsyncClient) -> None:
    await post(http, "/accounts/alice/deposits", amount="10")
    assert (await post(http, "/accounts/alice/deposits", '"1"', amount="10")).status_code == 201
    for stale in ('"1"', '"7"', '"0"'):
        refused = await post(http, "/accounts/alice/deposits", stale, amount="10")
        assert (refused.status_code, refused.json()["actualVersion"]) == (412, 2)
        assert refused.json()["expectedVersion"] == int(stale.strip('"'))
    assert (await post(http, "/accounts/alice/deposits", "*", amount="10")).status_code == 201
    nobody = await post(http, "/accounts/nobody/deposits", "*", amount="10")
    assert (nobody.status_code, nobody.json()["actualVersion"]) == (412, 0)
    assert (await http.get("/accounts/nobody")).status_code == 404


async def test_if_match_lets_one_of_many_through(http: httpx.AsyncClient) -> None:
    await post(http, "/accounts/alice/deposits", amount="10")
    answers = await asyncio.gather(*(post(http, "/accounts/alice/deposits", '"1"', amount="1") for _ in range(10)))
    assert sorted(answer.status_code for answer in answers) == [201] + [412] * 9
    assert (await http.get("/accounts/alice")).json()["balance"] == "11.00"


async def test_racing_commands_share_appends_and_the_balance_is_exact(http: httpx.AsyncClient) -> None:
    await post(http, "/accounts/alice/deposits", amount="100.00")
    racing = [
        post(http, "/accounts/alice/deposits", amount="0.10")
        if n % 2
        else post(http, "/accounts/alice/withdrawals", amount="0.07")
        for n in range(80)
    ]
    answers = await asyncio.gather(*racing)
    assert {answer.status_code for answer in answers} == {201}
    assert sorted(answer.json()["version"] for answer in answers) == list(range(2, 82))
    state = (await http.get("/accounts/alice")).json()
    assert (state["version"], state["balance"]) == (81, str(Decimal(100) + 40 * Decimal("0.10") - 40 * Decimal("0.07")))
    metrics = (await http.get("/metrics")).text
    appends = next(line for line in metrics.splitlines() if line.startswith("kinfold_writer_appends_total"))
    assert float(appends.split()[1]) < 81, "the commands never met: this run proves nothing"


async def test_racing_withdrawals_never_overdraw(http: httpx.AsyncClient) -> None:
    await post(http, "/accounts/alice/deposits", amount="10.00")
    answers = await asyncio.gather(*(post(http, "/accounts/alice/withdrawals", amount="3.00") for _ in range(16)))
    assert sorted(answer.status_code for answer in answers) == [201] * 3 + [422] * 13
    assert (await http.get("/accounts/alice")).json()["balance"] == "1.00"


async def test_readiness_needs_the_events_table(http: httpx.AsyncClient, clients: Any, ledger_tables: Any) -> None:
    assert (await http.get("/ready")).status_code == 200
    clients.dynamodb.delete_table(TableName=ledger_tables.events)
    clients.dynamodb.get_waiter("table_not_exists").wait(TableName=ledger_tables.events)
    refused = await http.get("/ready")
    assert (refused.status_code, refused.json()["type"]) == (503, "urn:kinfold:problem:not-ready")
    assert (await http.get("/health")).status_code == 200
