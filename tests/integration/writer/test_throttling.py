"""DynamoDB throttles for a while: the writer says so quickly, stays well, and goes on by itself."""

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from contextvars import ContextVar
from io import BytesIO
from typing import Any

import httpx
import pytest
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from fastapi import FastAPI
from urllib3 import HTTPResponse

from betting import RESOURCES
from ledger.runtime.auth import Access
from ledger.runtime.aws import Clients
from ledger.runtime.settings import Settings
from ledger.store.event_store import EventStore
from ledger.store.idempotency_keys import IdempotencyKeys
from ledger.store.snapshots import SnapshotStore
from ledger.store.tables import Names
from tests.support.waiting import eventually
from writer.commands.aggregate_repository import AggregateRepository
from writer.commands.snapshot_writer import SnapshotWriter
from writer.http.app import build_api
from writer.metrics import Metrics
from writer.settings import WriterSettings

pytestmark = pytest.mark.integration

SECONDS = 8.0
REFUSAL = b'{"__type":"com.amazonaws.dynamodb.v20120810#ThrottlingException","message":"Rate exceeded"}'


class Waits:
    """How long one command has waited for answers that the endpoint itself gave."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.since: float | None = None


#: Those of the command that a client has sent; the writer's threads see it, since they run in its context.
of_command: ContextVar[Waits | None] = ContextVar("of_command", default=None)


class Throttle:
    """Answers every DynamoDB request of a client with a throttling error while it is on; times the others."""

    def __init__(self, clients: Clients) -> None:
        self.on = False
        self.refused = 0
        clients.dynamodb.meta.events.register("before-send.dynamodb", self._answer)
        clients.dynamodb.meta.events.register("response-received.dynamodb", self._answered)

    def _answer(self, request: Any, **_: Any) -> Any:
        if not self.on:
            if waits := of_command.get():
                waits.since = time.monotonic()
            return None
        self.refused += 1
        return AWSResponse(request.url, 400, HTTPHeaders(), HTTPResponse(BytesIO(REFUSAL), preload_content=False))

    def _answered(self, **_: Any) -> None:
        if (waits := of_command.get()) and waits.since is not None:
            waits.seconds += time.monotonic() - waits.since
            waits.since = None


@pytest.fixture
def settings(profile: str) -> WriterSettings:
    return WriterSettings.model_validate({"profile": profile})


@pytest.fixture
def clients(aws_endpoint: str, profile: str, clients: Clients) -> Clients:
    """As the writer's composition root makes them, but for the read timeout.

    A slow endpoint's answer is waited for: one that is given up leaves open whether the command was stored, and this is
    about refusals, which do not.
    """
    shared = Settings.model_validate({"profile": profile, "endpoint_url": aws_endpoint, "region": "us-east-1"})
    return Clients(shared, connections=40, attempts=2, read_timeout=60)


@pytest.fixture
def throttle(clients: Clients) -> Throttle:
    return Throttle(clients)


@pytest.fixture
def store(clients: Clients, ledger_tables: Names, settings: WriterSettings) -> EventStore:
    return EventStore(clients.dynamodb, ledger_tables.events, retry_seconds=settings.writer_patience)


@pytest.fixture
def api(clients: Clients, store: EventStore, ledger_tables: Names, settings: WriterSettings) -> Iterator[FastAPI]:
    metrics = Metrics()
    snapshots = SnapshotWriter(SnapshotStore(clients.dynamodb, ledger_tables.snapshots), metrics, interval=10)
    keys = IdempotencyKeys(clients.dynamodb, ledger_tables.commands, retention=3600)
    yield build_api(RESOURCES, AggregateRepository(store, snapshots), keys, settings, Access(None), metrics)
    snapshots.close(10)


async def test_throttling_for_a_while(
    http: httpx.AsyncClient, store: EventStore, throttle: Throttle, clients: Clients, ledger_tables: Names
) -> None:
    statuses: Counter[int] = Counter()
    slowest = 0.0
    confirmed: set[str] = set()
    asked: set[str] = set()
    ended = False

    async def client(number: int) -> None:
        nonlocal slowest
        command = 0
        while not ended:
            command += 1
            key = f"c{number}-{command}"
            asked.add(key)
            headers = {"Idempotency-Key": key, "X-Correlation-ID": key} if number % 2 else {"X-Correlation-ID": key}
            of_command.set(waits := Waits())
            start = time.monotonic()
            answer = await http.post(
                f"/accounts/a{number}/deposits", json={"amount": "1", "currency": "EUR"}, headers=headers
            )
            slowest = max(slowest, time.monotonic() - start - waits.seconds)
            statuses[answer.status_code] += 1
            if answer.status_code == 201:
                confirmed.add(key)
            else:
                assert answer.status_code == 503, answer.text
                assert answer.headers["retry-after"]
                await asyncio.sleep(0.1)

    async def is_ready() -> bool:
        return (await http.get("/ready")).status_code == 200

    tasks = [asyncio.create_task(client(number)) for number in range(40)]
    await eventually(lambda: len(confirmed) > 0)
    throttle.on = True
    end, stalled = time.monotonic() + SECONDS, 0.0
    while (began := time.monotonic()) < end:
        assert (await asyncio.wait_for(http.get("/health"), 2)).status_code == 200
        await asyncio.sleep(0.5)
        stalled += time.monotonic() - began - 0.5
    assert (await http.get("/ready")).status_code == 503
    throttle.on = False
    during = len(confirmed)
    await eventually(lambda: len(confirmed) > during)
    await eventually(is_ready)
    ended = True
    await asyncio.gather(*tasks)

    assert throttle.refused > 100
    assert statuses[503] > 40
    # A wait in the queue, a pause of the SDK, an append's retries. What the endpoint took to answer is not the
    # writer's, nor what the machine stood still, as the event loop sees it.
    assert slowest < min(6 + stalled, SECONDS), f"an answer took {slowest:.1f} s, the machine stood for {stalled:.1f} s"
    stored = [event for n in range(40) for event in store.load(f"a{n}").events]
    by_command = Counter(event.correlation_id for event in stored)
    assert max(by_command.values()) == 1
    assert set(by_command) == confirmed
    recorded = {
        item["commandId"]["S"].removeprefix("anybody#")
        for page in clients.dynamodb.get_paginator("scan").paginate(TableName=ledger_tables.commands)
        for item in page["Items"]
    }
    assert recorded == {key for key in confirmed if int(key[1:].split("-")[0]) % 2}, "half of a command was written"
