"""Idempotency keys on real tables: twins at the same moment, lost answers, expiry."""

import asyncio
import time
from typing import Any

import httpx
import pytest

from ledger.runtime.aws import Clients
from ledger.store.event_store import EventStore
from ledger.store.tables import Names
from tests.integration.ledger.test_lost_answers import LostAnswers

pytestmark = pytest.mark.integration

BODY = {"amount": "1.00", "currency": "EUR"}


async def post(http: httpx.AsyncClient, key: str, body: Any = None, path: str = "deposits") -> httpx.Response:
    return await http.post(f"/accounts/alice/{path}", json=body or BODY, headers={"Idempotency-Key": key})


async def test_of_many_at_the_same_moment_one_appends_and_all_get_its_answer(
    http: httpx.AsyncClient, store: EventStore
) -> None:
    for round_number in range(5):
        answers = await asyncio.gather(*(post(http, f"k{round_number}") for _ in range(8)))
        assert {answer.status_code for answer in answers} == {201}
        assert len({answer.content for answer in answers}) == 1
        assert sum("idempotency-replayed" not in answer.headers for answer in answers) == 1
    assert store.version("alice").number == 5


async def test_twins_of_the_last_money_are_both_told_that_it_was_paid_out(http: httpx.AsyncClient) -> None:
    for n in range(5):
        await post(http, f"in{n}")
        answers = await asyncio.gather(*(post(http, f"out{n}", path="withdrawals") for _ in range(6)))
        assert {answer.status_code for answer in answers} == {201}, [answer.text for answer in answers]
    assert (await http.get("/accounts/alice")).json()["version"] == 10


async def test_of_two_commands_with_one_key_one_is_carried_out(http: httpx.AsyncClient, store: EventStore) -> None:
    for n in range(5):
        bodies = [BODY, BODY | {"amount": "2.00"}] * 3
        answers = await asyncio.gather(*(post(http, f"k{n}", body) for body in bodies))
        assert sorted(answer.status_code for answer in answers) == [201] * 3 + [422] * 3
    assert store.version("alice").number == 5


async def test_the_record_is_stored_with_the_events_and_expires_in_time(
    http: httpx.AsyncClient, clients: Clients, ledger_tables: Names
) -> None:
    first = await post(http, "k1")
    await post(http, "k2", {"amount": "9.00", "currency": "EUR"}, "withdrawals")
    items = clients.dynamodb.scan(TableName=ledger_tables.commands)["Items"]
    [item] = items
    assert item["commandId"] == {"S": "anybody#k1"}
    assert item["body"] == {"S": first.text}
    assert 3500 < int(item["expiresAt"]["N"]) - time.time() < 3700
    expiry = clients.dynamodb.describe_time_to_live(TableName=ledger_tables.commands)["TimeToLiveDescription"]
    assert (expiry["TimeToLiveStatus"], expiry["AttributeName"]) == ("ENABLED", "expiresAt")


async def test_a_lost_answer_to_a_keyed_write_counts_once(
    http: httpx.AsyncClient, clients: Clients, store: EventStore
) -> None:
    with LostAnswers(clients, "TransactWriteItems") as answers:
        for n in range(6):
            answers.left = 1 + n % 2
            assert (await post(http, f"k{n}")).status_code == 201
    assert store.version("alice").number == 6
