"""Stored data that the projector's routes cannot read: said as what it is, with what to do."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, cast

import httpx
import pytest
from aiohttp.test_utils import TestServer

from betting.projections.balance_summary import BALANCE_SUMMARY
from betting.projections.daily_activity import DAILY_ACTIVITY
from ledger.runtime.aws import Clients
from projector.app import build_app
from projector.components import Components
from projector.settings import ProjectorSettings
from tests.integration.projector.conftest import deliver
from tests.support.accounts import deposit, poison

pytestmark = pytest.mark.integration


@pytest.fixture
async def http(projector_settings: ProjectorSettings, clients: Clients) -> AsyncIterator[httpx.AsyncClient]:
    settings = projector_settings.model_copy(update={"access": "off"})
    built = build_app(settings, clients, *settings.claim("127.0.0.1", 0))
    async with (
        TestServer(await cast(Any, built.faust.web).wsgi()) as server,
        httpx.AsyncClient(base_url=str(server.make_url("")), trust_env=False, timeout=30) as client,
    ):
        yield client
    built.executor.shutdown()


async def test_a_row_that_cannot_be_read(http: httpx.AsyncClient, components: Components, clients: Clients) -> None:
    table = BALANCE_SUMMARY.table(components.names.profile, 1)
    row = {"aggregateId": {"S": "alice"}, "version": {"N": "1"}, "balance": {"S": "a lot"}, "currency": {"S": "EUR"}}
    clients.dynamodb.put_item(TableName=table, Item=row)
    answer = await http.get("/balances/alice")
    assert (answer.status_code, answer.json()["type"]) == (503, "urn:kinfold:problem:unreadable-row")
    assert "`kinfold projector verify --repair` rewrites it" in answer.json()["detail"]


async def test_a_part_that_cannot_be_read(http: httpx.AsyncClient, components: Components, clients: Clients) -> None:
    table = DAILY_ACTIVITY.table(components.names.profile, 1)
    for day, version in (("!", "1"), ("2026-01-02", "one")):
        row = {
            "aggregateId": {"S": "alice"},
            "day": {"S": day},
            "version": {"N": version} if day == "!" else {"S": version},
        }
        clients.dynamodb.put_item(TableName=table, Item=row)
    answer = await http.get("/activity/alice")
    assert (answer.status_code, answer.json()["type"]) == (503, "urn:kinfold:problem:unreadable-row")


async def test_a_redrive_and_a_skip_of_an_account_whose_row_cannot_be_read(
    http: httpx.AsyncClient, components: Components, clients: Clients
) -> None:
    row = {"aggregateId": {"S": "alice"}, "version": {"S": "one"}}
    clients.dynamodb.put_item(TableName=BALANCE_SUMMARY.table(components.names.profile, 1), Item=row)
    await asyncio.to_thread(deliver, components.batch_handler(), components, *deposit(components.store, "alice"))
    letter, headers = "/dead-letters/balance-summary~alice~row", {"Content-Type": "application/json"}
    assert (await http.get(letter)).json()["sequenceNumber"] is None
    redriven = await http.post(f"{letter}/redrive", headers=headers)
    assert redriven.json()["result"] == "still halted"
    assert "`kinfold projector verify --repair`" in redriven.json()["reason"]
    skipped = await http.post(f"{letter}/skip", json={"reason": "test"})
    assert (skipped.status_code, "there is no event to skip" in skipped.json()["detail"]) == (409, True)
    # Both are in the audit log, newest first, as the commands of the same name would be.
    skip, redrive = await asyncio.to_thread(components.audit.recent)
    assert (redrive.action, redrive.by, redrive.exit_code) == ("projector dead-letters redrive", "anybody", 0)
    assert redrive.details == {"result": "still halted"}
    assert (skip.action, skip.exit_code) == ("projector dead-letters skip", 1)
    assert skip.parameters == {"letterId": "balance-summary~alice~row", "reason": "test"}


async def test_a_history_that_cannot_be_read(http: httpx.AsyncClient, components: Components, clients: Clients) -> None:
    bad = poison(clients.dynamodb, components.names.events, deposit(components.store, "alice")[0])
    await asyncio.to_thread(deliver, components.batch_handler(), components, bad)
    foreign = bad.to_item() | {"sequenceNumber": {"N": "3"}, "note": {"S": "by hand"}}
    clients.dynamodb.put_item(TableName=components.names.events, Item=foreign)
    answer = await http.post(
        "/dead-letters/balance-summary~alice~2/redrive", headers={"Content-Type": "application/json"}
    )
    assert (answer.status_code, answer.json()["type"]) == (503, "urn:kinfold:problem:unreadable-history")
    assert "attributes no event store wrote: note" in answer.json()["detail"]
