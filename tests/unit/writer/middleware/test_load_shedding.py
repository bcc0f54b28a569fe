"""The queue in front of the threads, and the limit of a request's head."""

import asyncio
import threading
from typing import Any

import httpx
import pytest

import loyalty
from betting import RESOURCES
from ledger.runtime.auth import Access
from ledger.store.idempotency_keys import IdempotencyKeys
from tests.support.waiting import eventually
from tests.unit.writer.conftest import MemoryStore
from writer.commands.aggregate_repository import AggregateRepository
from writer.http.app import build_api
from writer.metrics import Metrics
from writer.settings import WriterSettings

DEPOSIT = {"amount": "5.00", "currency": "EUR"}


@pytest.fixture
def settings() -> WriterSettings:
    return WriterSettings.model_validate(
        {
            "profile": "unit",
            "writer_threads": 2,
            "writer_queue": 3,
            "writer_queue_wait": 3,
            "writer_max_headers": 1024,
        }
    )


class Busy:
    """Appends that wait until they are let go."""

    def __init__(self, store: MemoryStore) -> None:
        self.release = threading.Event()
        self.inside = threading.Semaphore(0)
        store.before_append = self._block

    def _block(self) -> None:
        self.inside.release()
        self.release.wait(20)


def deposit(http: httpx.AsyncClient, account: int) -> "asyncio.Task[httpx.Response]":
    return asyncio.create_task(http.post(f"/accounts/a{account}/deposits", json=DEPOSIT))


async def test_every_aggregate_type_of_any_domain_waits_in_the_queue(
    accounts: AggregateRepository,
    keys: IdempotencyKeys,
    settings: WriterSettings,
    metrics: Metrics,
    store: MemoryStore,
) -> None:
    go = threading.Event()

    def wait() -> None:
        go.wait(20)

    store.before_read = wait
    api = build_api((*RESOURCES, *loyalty.RESOURCES), accounts, keys, settings, Access(None), metrics)
    for path in ("accounts", "members"):
        go.clear()
        async with httpx.AsyncClient(transport=httpx.ASGITransport(api), base_url="http://writer") as http:
            accepted = [asyncio.create_task(http.get(f"/{path}/a{n}")) for n in range(5)]
            await eventually(lambda: under_way(metrics) == 5)
            assert overloaded(await http.get(f"/{path}/a6"))
            assert (await http.get("/health")).status_code == 200
            go.set()
            assert {answer.status_code for answer in await asyncio.gather(*accepted)} == {404}


def under_way(metrics: Metrics) -> float | None:
    return metrics.registry.get_sample_value("kinfold_writer_requests_under_way")


def overloaded(answer: httpx.Response) -> bool:
    return answer.status_code == 503 and answer.json()["type"] == "urn:kinfold:problem:overloaded"


async def test_load_that_cannot_be_carried_is_refused_at_once(
    http: httpx.AsyncClient, store: MemoryStore, metrics: Metrics
) -> None:
    busy = Busy(store)
    accepted = [deposit(http, n) for n in range(5)]
    for _ in range(2):
        assert await asyncio.to_thread(busy.inside.acquire, timeout=10)
    await eventually(lambda: under_way(metrics) == 5)
    async with asyncio.timeout(2.5):
        refused = [await deposit(http, n) for n in range(5, 10)]
    assert all(map(overloaded, refused))
    assert all(int(answer.headers["retry-after"]) > 0 for answer in refused)
    busy.release.set()
    assert {answer.status_code for answer in await asyncio.gather(*accepted)} == {201}
    assert set(store.stored) == {f"a{n}" for n in range(5)}
    shown = (await http.get("/metrics")).text
    assert 'requests_turned_away_total{reason="queue_full"} 5.0' in shown
    assert "kinfold_writer_requests_under_way 0.0" in shown


async def test_a_request_waits_only_so_long(http: httpx.AsyncClient, store: MemoryStore) -> None:
    busy = Busy(store)
    tasks = [deposit(http, n) for n in range(4)]
    async with asyncio.timeout(7.5):
        waited = await asyncio.gather(*tasks[2:])
    assert all(map(overloaded, waited))
    busy.release.set()
    assert {answer.status_code for answer in await asyncio.gather(*tasks[:2])} == {201}
    assert (await deposit(http, 9)).status_code == 201, "the places of those that left are free again"


async def test_a_client_that_leaves_frees_its_place(
    http: httpx.AsyncClient, store: MemoryStore, metrics: Metrics
) -> None:
    busy = Busy(store)
    running = [deposit(http, n) for n in range(2)]
    for _ in range(2):
        assert await asyncio.to_thread(busy.inside.acquire, timeout=10)
    for _ in range(3):
        leaving = [deposit(http, n) for n in range(2, 5)]
        await eventually(lambda: under_way(metrics) == 5)
        for task in leaving:
            task.cancel()
        await asyncio.gather(*leaving, return_exceptions=True)
    busy.release.set()
    await asyncio.gather(*running)
    assert "kinfold_writer_requests_under_way 0.0" in (await http.get("/metrics")).text


@pytest.mark.parametrize("part", ["header", "headers", "query", "path"])
async def test_a_large_head_is_431(http: httpx.AsyncClient, part: str) -> None:
    requests: dict[str, dict[str, Any]] = {
        "header": {"url": "/accounts/a", "headers": {"X-Large": "x" * 1100}},
        "headers": {"url": "/accounts/a", "headers": {f"X-{n}": "x" for n in range(300)}},
        "query": {"url": "/accounts/a?" + "x" * 1100},
        "path": {"url": "/accounts/" + "a" * 1100},
    }
    answer = await http.get(**requests[part])
    assert (answer.status_code, answer.json()["type"]) == (431, "urn:kinfold:problem:head-too-large")
    assert len(answer.content) < 1000
