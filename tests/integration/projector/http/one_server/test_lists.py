"""The aggregates of a projection, a page at a time: each once, whatever else the table holds, and at a bounded cost."""

import asyncio
import threading
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from botocore.model import OperationModel

from betting.projections.balance_summary import BALANCE_SUMMARY
from ledger.runtime.aws import Clients
from ledger.store.errors import TableReplacedError
from ledger.store.stored_event import StoredEvent
from ledger.store.tables import Names
from projector.app import ProjectorApp
from projector.engine.read_model import ReadModel
from projector.http import lists
from projector.http.lists import Cursor
from tests.integration.projector.conftest import deliver
from tests.integration.projector.http.one_server.conftest import DAYS

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="module")]

#: Beside alice, who is on three days, and mallory, who is halted.
OTHERS = tuple(f"player-{number}" for number in range(12))
ALL = {"alice", "mallory", *OTHERS}


@pytest.fixture(scope="module", autouse=True)
def crowd(built: ProjectorApp) -> None:
    components, handler = built.components, built.components.batch_handler()
    payload = '{"schemaVersion":1,"amount":"5.00","currency":"EUR"}'
    for other in OTHERS:
        for number, day in enumerate(DAYS, 1):
            at = f"{day}T12:00:00.000000+00:00"
            deliver(handler, components, StoredEvent(other, number, "account", "FundsDeposited", payload, at, "c"))


@pytest.fixture
def scans(clients: Clients) -> Iterator[list[int]]:
    """The rows that each Scan may read, in turn."""
    limits = list[int]()

    def note(params: dict[str, Any], model: OperationModel, **_: object) -> None:
        assert params["ConsistentRead"]
        limits.append(params["Limit"])

    events = clients.dynamodb.meta.events
    events.register("provide-client-params.dynamodb.Scan", note)
    yield limits
    events.unregister("provide-client-params.dynamodb.Scan", note)


async def pages(http: httpx.AsyncClient, path: str | None) -> list[dict[str, Any]]:
    found = []
    while path is not None:
        answer = await http.get(path)
        assert answer.status_code == 200, answer.text
        found.append(body := answer.json())
        assert len(found) < 200, "pages without an end"
        assert list(body) == ["aggregates", "unreadable", "next"]
        assert answer.links.get("next", {}).get("url") == body["next"]
        path = body["next"]
    return found


def ids(found: list[dict[str, Any]]) -> list[str]:
    return [each["accountId"] for page in found for each in page["aggregates"]]


@pytest.mark.parametrize("path", ["/balances", "/activity"])
@pytest.mark.parametrize("limit", [1, 3, 14, 100])
async def test_each_aggregate_is_shown_once_by_its_head(http: httpx.AsyncClient, path: str, limit: int) -> None:
    found = await pages(http, f"{path}?limit={limit}")
    assert sorted(ids(found)) == sorted(ALL)
    assert all(len(page["aggregates"]) <= limit for page in found)
    for each in (each for page in found for each in page["aggregates"]):
        assert "days" not in each
        alone = (await http.get(f"{path}/{each['accountId']}")).json()
        alone.pop("days", None)
        assert each == alone


@pytest.mark.parametrize("path", ["/balances", "/activity"])
async def test_those_that_are_halted_are_found(http: httpx.AsyncClient, path: str) -> None:
    [page] = await pages(http, f"{path}?halted=true")
    [halted] = page["aggregates"]
    assert (halted["accountId"], halted["version"], halted["halted"]["sequenceNumber"]) == ("mallory", 0, 1)


async def test_a_page_costs_no_more_than_it_may_and_says_where_to_go_on(
    http: httpx.AsyncClient, scans: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lists, "ROWS_AT_ONCE", 3)
    monkeypatch.setattr(lists, "MAX_CALLS", 2)
    for path in ("/balances?halted=true", "/activity?halted=true", "/activity", "/balances?limit=14"):
        scans.clear()
        found = await pages(http, path)
        assert len(scans) <= 2 * len(found)
        assert set(scans) <= {1, 2, 3}
        assert sorted(ids(found)) == (["mallory"] if "halted" in path else sorted(ALL)), path
        # Some have nothing to show, and lead on all the same.
        assert len(found) > 2
        if "halted" in path:
            assert [page for page in found if not page["aggregates"]]


async def test_many_lists_at_once_leave_threads_to_other_readers(
    http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    under_way, most, lock, heads = 0, 0, threading.Lock(), ReadModel.heads

    def counted(*args: Any, **options: Any) -> Any:
        nonlocal under_way, most
        with lock:
            under_way += 1
            most = max(most, under_way)
        try:
            return heads(*args, **options)
        finally:
            with lock:
                under_way -= 1

    monkeypatch.setattr(ReadModel, "heads", counted)
    answers = await asyncio.gather(*(http.get(f"/balances?limit={number}") for number in range(1, 30)))
    assert {answer.status_code for answer in answers} == {200}
    assert 1 <= most <= lists.CALLS_AT_ONCE


async def test_a_page_without_a_filter_reads_what_it_shows(http: httpx.AsyncClient, scans: list[int]) -> None:
    await http.get("/balances?limit=5")
    assert scans == [5]


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("limit=0", "limit is a whole number from 1 to 1000"),
        ("limit=1001", "limit is a whole number from 1 to 1000"),
        ("limit=", "limit is a whole number from 1 to 1000"),
        ("limit=01", "limit is a whole number from 1 to 1000"),
        ("limit=ten", "limit is a whole number from 1 to 1000"),
        ("halted=false", "halted is true, or left out"),
        ("halted=", "halted is true, or left out"),
        ("limit=1&limit=2", "is given twice"),
        ("min_version=1", "is no query parameter here"),
        ("from=2026-01-01", "is no query parameter here"),
    ],
)
async def test_a_query_that_is_none_is_refused(http: httpx.AsyncClient, query: str, words: str) -> None:
    answer = await http.get(f"/activity?{query}")
    assert (answer.status_code, words in answer.json()["detail"]) == (400, True), answer.text


def encoded(text: str) -> str:
    return urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "x",
        "a" * 6001,
        "%C3%A4",
        encoded("null"),
        encoded("{}"),
        encoded("[]"),
        encoded('["balance-summary",1]'),
        encoded('["balance-summary",1,"alice","!"]'),
        encoded('["balance-summary",1,["alice"]]'),
        encoded('["balance-summary",1,{"S":"alice"}]'),
        encoded('["balance-summary",1,7]'),
        encoded('["balance-summary",1,""]'),
        encoded('["balance-summary",1,"' + "a" * 2049 + '"]'),
        encoded('["balance-summary",true,"alice"]'),
        encoded('["balance-summary","1","alice"]'),
        encoded('["balance-summary", 1, "alice"]'),
        encoded('["balance-summary",1,"\\ud800"]'),
        str(Cursor("daily-activity", 1, ("alice", "!"))),
        str(Cursor("daily-activity", 1, ("alice",))),
        str(Cursor("balance-summary", 1, ("alice",))) + "=",
    ],
)
async def test_a_cursor_that_no_page_gave_is_refused(http: httpx.AsyncClient, cursor: str) -> None:
    answer = await http.get(f"/balances?cursor={cursor}")
    assert (answer.status_code, answer.json()["type"]) == (400, "urn:kinfold:problem:bad-query"), answer.text
    assert "cursor: take it from `next`" in answer.json()["detail"]


async def test_a_cursor_of_an_aggregate_that_is_not_there_is_a_place_like_any(http: httpx.AsyncClient) -> None:
    cursor = Cursor("balance-summary", 1, ("~; DROP TABLE",))
    assert set(ids(await pages(http, f"/balances?cursor={cursor}"))) <= ALL


async def test_a_row_that_cannot_be_read_is_named_beside_those_that_can(
    http: httpx.AsyncClient, clients: Clients, built: ProjectorApp
) -> None:
    model = built.components.models.model(BALANCE_SUMMARY, 1)
    row = clients.dynamodb.get_item(TableName=model.table, Key=model.key("alice"))["Item"]
    clients.dynamodb.put_item(TableName=model.table, Item={**row, "balance": {"S": "much"}})
    try:
        found = await pages(http, "/balances?limit=4")
        assert sorted(ids(found)) == sorted(ALL - {"alice"})
        assert [each for page in found for each in page["unreadable"]] == ["alice"]
        assert all(len(page["aggregates"]) + len(page["unreadable"]) <= 4 for page in found)
    finally:
        clients.dynamodb.put_item(TableName=model.table, Item=row)


async def test_nothing_is_listed_of_a_replaced_table(
    http: httpx.AsyncClient, built: ProjectorApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    def replaced() -> None:
        raise TableReplacedError("made anew")

    with monkeypatch.context() as patched:
        patched.setattr(type(built.components.guard), "check", lambda _: replaced())
        answer = await http.get("/balances")
    assert (answer.status_code, answer.json()["type"]) == (503, "urn:kinfold:problem:events-table-replaced")


async def test_a_cursor_is_of_one_generation(
    http: httpx.AsyncClient, clients: Clients, built: ProjectorApp, ledger_tables: Names
) -> None:
    """A flip between two pages: what was shown is of other rows than what would follow."""
    first = (await http.get("/balances?limit=3")).json()["next"]
    later = Cursor("balance-summary", 2, ("alice",))
    gone = await http.get(f"/balances?cursor={later}")
    assert (gone.status_code, gone.json()["type"]) == (410, "urn:kinfold:problem:cursor-outdated")
    two = BALANCE_SUMMARY.table(ledger_tables.profile, 2)
    old = built.components.models.model(BALANCE_SUMMARY, 1)
    clients.dynamodb.create_table(
        TableName=two,
        KeySchema=[{"AttributeName": "aggregateId", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "aggregateId", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    clients.dynamodb.get_waiter("table_exists").wait(TableName=two)
    row = clients.dynamodb.get_item(TableName=old.table, Key=old.key("alice"))["Item"]
    clients.dynamodb.put_item(TableName=two, Item=row)

    def flip(active: str) -> None:
        clients.dynamodb.update_item(
            TableName=ledger_tables.projections,
            Key={"projection": {"S": "balance-summary"}},
            UpdateExpression="SET active = :a",
            ExpressionAttributeValues={":a": {"N": active}},
        )

    flip("2")
    try:
        # A replica that has not seen the flip yet takes a cursor of one that has.
        assert (await http.get(f"/balances?cursor={later}")).status_code == 200
        gone = await http.get(first)
        assert (gone.status_code, gone.json()["type"]) == (410, "urn:kinfold:problem:cursor-outdated")
        assert "begin without a cursor" in gone.json()["detail"]
        assert ids(await pages(http, "/balances?limit=3")) == ["alice"]
    finally:
        flip("1")
        built.components.models.refresh()
