"""An account as it was, by version and by time, and its events from either end."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import httpx
import pytest

from betting.events import FundsDeposited
from ledger.store.stored_event import StoredEvent, timestamp
from tests.unit.writer.conftest import MemoryStore

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def alice(store: MemoryStore) -> str:
    """Five deposits of 1.00, 2.00 ... one a minute from noon on."""
    for number in range(1, 6):
        store.add("alice", FundsDeposited(amount=Decimal(number), currency="EUR"), correlation_id=f"c{number}")
    backdate(store, [NOON + timedelta(minutes=number) for number in range(5)])
    return "alice"


def backdate(store: MemoryStore, moments: list[datetime]) -> None:
    store.stored["alice"] = [
        StoredEvent(e.aggregate_id, e.sequence_number, e.aggregate_type, e.event_type, e.payload, at, e.correlation_id)
        for e, at in zip(store.stored["alice"], map(timestamp, moments), strict=True)
    ]


@pytest.mark.parametrize(("version", "balance"), [(1, "1.00"), (2, "3.00"), (4, "10.00"), (5, "15.00")])
async def test_an_account_as_it_was_at_a_version(
    http: httpx.AsyncClient, alice: str, version: int, balance: str
) -> None:
    answer = await http.get(f"/accounts/{alice}?version={version}")
    assert (answer.json()["version"], answer.json()["balance"]) == (version, balance)
    assert answer.headers["etag"] == f'"{version}"'


async def test_a_version_that_never_was_is_404_with_the_actual_one(http: httpx.AsyncClient, alice: str) -> None:
    answer = await http.get("/accounts/alice?version=6")
    assert (answer.status_code, answer.json()["type"]) == (404, "urn:kinfold:problem:unknown-version")
    assert answer.json()["actualVersion"] == 5
    nobody = await http.get("/accounts/nobody?version=1")
    assert nobody.json()["type"] == "urn:kinfold:problem:unknown-account"


@pytest.mark.parametrize(
    ("at", "version"),
    [
        ("2026-03-01T12:00:00Z", 1),
        ("2026-03-01T12:00:59.999999Z", 1),
        ("2026-03-01T12:01:00%2B00:00", 2),
        ("2026-03-01T13:03:30%2B01:00", 4),
        ("2099-01-01T00:00:00Z", 5),
    ],
)
async def test_an_account_as_it_was_at_a_time(http: httpx.AsyncClient, alice: str, at: str, version: int) -> None:
    answer = await http.get(f"/accounts/alice?at={at}")
    assert (answer.status_code, answer.json()["version"]) == (200, version)
    assert answer.headers["etag"] == f'"{version}"'


async def test_before_the_first_event_there_was_no_account(http: httpx.AsyncClient, alice: str) -> None:
    answer = await http.get("/accounts/alice?at=2026-03-01T11:59:59.999999Z")
    assert (answer.status_code, answer.json()["type"]) == (404, "urn:kinfold:problem:unknown-account")
    assert "2026-03-01T11:59:59.999999+00:00" in answer.json()["detail"]
    assert (await http.get("/accounts/nobody?at=2026-03-01T12:00:00Z")).status_code == 404


async def test_where_clocks_disagree_the_order_of_the_events_counts(
    http: httpx.AsyncClient, store: MemoryStore, alice: str
) -> None:
    backdate(store, [NOON + timedelta(minutes=minute) for minute in (0, 1, 5, 2, 6)])
    for at, version in (("12:03:00", 2), ("12:05:00", 4), ("12:06:00", 5)):
        assert (await http.get(f"/accounts/alice?at=2026-03-01T{at}Z")).json()["version"] == version


@pytest.mark.parametrize(
    "query",
    [
        "at=yesterday",
        "at=2026-03-01T12:00:00",
        "at=",
        "at=2026",
        "at=1772366400",
        "at=2026-03-01T12:00:00+00:00",
        "at=0001-01-01T00:00:00%2B14:00",
        "at=9999-12-31T23:59:59-14:00",
        "at=1969-12-31T23:59:59Z",
        "version=0",
        "version=x",
        "version=1&at=2026-03-01T12:00:00Z",
    ],
)
async def test_a_moment_that_is_none_is_400(http: httpx.AsyncClient, alice: str, query: str) -> None:
    answer = await http.get(f"/accounts/alice?{query}")
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, query.rsplit("&")[-1].split("=")[0])


async def numbers(http: httpx.AsyncClient, path: str | None) -> list[list[int]]:
    pages = []
    while path:
        page = await http.get(path)
        assert page.status_code == 200
        pages.append([event["sequenceNumber"] for event in page.json()["events"]])
        path = page.json()["next"]
        assert page.links.get("next", {}).get("url") == path
    return pages


async def test_events_come_in_pages_from_either_end(http: httpx.AsyncClient, alice: str) -> None:
    events = "/accounts/alice/events"
    assert await numbers(http, f"{events}?limit=2") == [[1, 2], [3, 4], [5]]
    assert await numbers(http, f"{events}?limit=2&order=newest") == [[5, 4], [3, 2], [1]]
    assert await numbers(http, f"{events}?limit=5&order=newest") == [[5, 4, 3, 2, 1]]
    assert await numbers(http, f"{events}?from=3&order=newest") == [[3, 2, 1]]
    assert await numbers(http, f"{events}?from=4") == [[4, 5]]
    assert await numbers(http, f"{events}?from=99&order=newest") == [[5, 4, 3, 2, 1]]


async def test_each_event_shows_its_correlation_id(http: httpx.AsyncClient, alice: str) -> None:
    page = (await http.get("/accounts/alice/events?order=newest&limit=2")).json()
    assert [event["correlationId"] for event in page["events"]] == ["c5", "c4"]


async def test_the_newest_events_of_nobody_are_404(http: httpx.AsyncClient) -> None:
    assert (await http.get("/accounts/nobody/events?order=newest")).status_code == 404
    assert (await http.get("/accounts/nobody/events?order=best")).status_code == 400
