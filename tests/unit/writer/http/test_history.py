"""An account after each of its events, a page at a time."""

from decimal import Decimal
from typing import Any

import httpx
import pytest
from msgspec import structs

from betting.events import FundsDeposited
from tests.unit.writer.conftest import MemoryStore
from writer.http import read_routes

EVENTS = 7


@pytest.fixture
def alice(store: MemoryStore) -> str:
    """Deposits of 1.00, 2.00, ..."""
    for number in range(1, EVENTS + 1):
        store.add("alice", FundsDeposited(amount=Decimal(number), currency="EUR"), correlation_id=f"c{number}")
    return "alice"


async def pages(http: httpx.AsyncClient, path: str | None) -> list[dict[str, Any]]:
    found = []
    while path is not None:
        answer = await http.get(path)
        assert answer.status_code == 200, answer.text
        found.append(body := answer.json())
        assert len(found) < 200, "pages without an end"
        assert (answer.links.get("next", {}).get("url"), body["accountId"]) == (body["next"], "alice")
        path = body["next"]
    return found


async def test_each_event_is_shown_with_the_account_as_it_was_after_it(
    http: httpx.AsyncClient, store: MemoryStore, alice: str
) -> None:
    [page] = await pages(http, f"/accounts/{alice}/history")
    assert list(page) == ["accountId", "history", "next"]
    for step, event in zip(page["history"], store.stored[alice], strict=True):
        was = (await http.get(f"/accounts/{alice}?version={event.sequence_number}")).json()
        assert step.pop("state") == {name: was[name] for name in was if name not in ("accountId", "version")}
        assert step == {
            "sequenceNumber": event.sequence_number,
            "eventType": "FundsDeposited",
            "occurredAt": event.occurred_at,
            "correlationId": f"c{event.sequence_number}",
        }


@pytest.mark.parametrize(("limit", "sizes"), [(3, [3, 3, 1]), (EVENTS, [EVENTS]), (1, [1] * EVENTS)])
async def test_pages_join_without_a_gap_and_each_begins_where_the_last_one_ended(
    http: httpx.AsyncClient, store: MemoryStore, alice: str, limit: int, sizes: list[int]
) -> None:
    [whole] = await pages(http, f"/accounts/{alice}/history")
    store.read_after.clear()
    found = await pages(http, f"/accounts/{alice}/history?limit={limit}")
    assert [len(page["history"]) for page in found] == sizes
    assert [step for page in found for step in page["history"]] == whole["history"]
    # No page reads what those before it have read, but for the event that its state is proven by.
    assert store.read_after == [0, *(number - 1 for number in range(limit, EVENTS, limit))]


async def test_a_page_begins_anywhere(http: httpx.AsyncClient, alice: str) -> None:
    [whole] = await pages(http, f"/accounts/{alice}/history")
    [rest] = await pages(http, f"/accounts/{alice}/history?from=5")
    assert rest["history"] == whole["history"][4:]


async def test_what_was_held_of_a_history_that_is_gone_is_not_gone_on_from(
    http: httpx.AsyncClient, store: MemoryStore, alice: str
) -> None:
    first = (await http.get(f"/accounts/{alice}/history?limit=3")).json()
    # As after a restore to version 2, and other events since.
    del store.stored[alice][2:]
    for _ in range(3):
        store.add("alice", FundsDeposited(amount=Decimal(100), currency="EUR"))
    [rest] = await pages(http, first["next"])
    assert [step["state"]["balance"] for step in rest["history"]] == ["203.00", "303.00"]
    del store.stored[alice][2:]
    [rest] = await pages(http, first["next"])
    assert (rest["history"], rest["next"]) == ([], None)


async def test_a_page_of_large_states_ends_before_its_limit(
    http: httpx.AsyncClient, alice: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    [whole] = await pages(http, f"/accounts/{alice}/history")
    monkeypatch.setattr(read_routes, "_MAX_HISTORY", 400)
    found = await pages(http, f"/accounts/{alice}/history")
    assert len(found) > 2
    assert [step for page in found for step in page["history"]] == whole["history"]


async def test_an_event_that_cannot_be_read_is_named_and_those_before_it_are_shown(
    http: httpx.AsyncClient, store: MemoryStore, alice: str
) -> None:
    store.stored[alice][4] = structs.replace(store.stored[alice][4], event_type="Unheard")
    before = (await http.get(f"/accounts/{alice}/history?limit=4")).json()
    assert [step["sequenceNumber"] for step in before["history"]] == [1, 2, 3, 4]
    for path in (before["next"], f"/accounts/{alice}/history", f"/accounts/{alice}/history?from=6"):
        answer = await http.get(path)
        assert (answer.status_code, answer.json()["type"]) == (503, "urn:kinfold:problem:unreadable-history")
        assert (answer.json()["sequenceNumber"], answer.headers["retry-after"]) == (5, "60")


async def test_nobody_has_no_history_and_the_end_of_one_is_no_error(http: httpx.AsyncClient, alice: str) -> None:
    answer = await http.get("/accounts/nobody/history")
    assert (answer.status_code, answer.json()["type"]) == (404, "urn:kinfold:problem:unknown-account")
    assert (await http.get("/accounts/nobody/history?from=3")).status_code == 404
    [page] = await pages(http, f"/accounts/{alice}/history?from={EVENTS + 1}")
    assert (page["history"], page["next"]) == ([], None)


@pytest.mark.parametrize("query", ["limit=0", "limit=501", "limit=x", "from=0", "from=-1", "order=newest", "version=1"])
async def test_a_page_that_is_none_is_refused(http: httpx.AsyncClient, alice: str, query: str) -> None:
    answer = await http.get(f"/accounts/{alice}/history?{query}")
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, query.partition("=")[0])
