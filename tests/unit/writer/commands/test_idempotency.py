"""Commands with a key: replays, reuse, twins, refusals, expiry, on a store in memory."""

from collections.abc import MutableMapping
from decimal import Decimal
from typing import Any, cast

import httpx
import pytest

from betting.commands import Deposit, PlaceBet, Withdraw
from betting.events import FundsWithdrawn
from ledger.errors import EndpointError
from ledger.runtime.problems import ProblemError
from ledger.store.idempotency_keys import CommandKey, IdempotencyKeys
from tests.support.accounts import stored_event
from tests.unit.writer.conftest import MemoryStore
from writer.commands.idempotency import command_key, parse_key

DEPOSITS, WITHDRAWALS = "/accounts/alice/deposits", "/accounts/alice/withdrawals"


def money(amount: str) -> dict[str, str]:
    return {"amount": amount, "currency": "EUR"}


async def post(
    http: httpx.AsyncClient, path: str = DEPOSITS, body: Any = None, key: str = "k1", **headers: str
) -> httpx.Response:
    sent = {"Idempotency-Key": key} | {name.replace("_", "-"): value for name, value in headers.items()}
    return await http.post(path, json=body or money("5"), headers=sent)


async def test_a_repeat_gets_the_first_answer_and_stores_nothing(http: httpx.AsyncClient, store: MemoryStore) -> None:
    first = await post(http)
    assert (first.status_code, first.json()["version"]) == (201, 1)
    assert "idempotency-replayed" not in first.headers
    store.add("alice", FundsWithdrawn(amount=Decimal(5), currency="EUR"))
    for body in (money("5"), money("5.00"), {"currency": "EUR", "amount": "5.0"}):
        again = await post(http, body=body)
        assert (again.status_code, again.content) == (201, first.content)
        assert again.headers["idempotency-replayed"] == "true"
        for name in ("etag", "location", "content-type"):
            assert again.headers[name] == first.headers[name]
    assert len(store.stored["alice"]) == 2
    metrics = (await http.get("/metrics")).text
    assert 'kinfold_writer_commands_total{command="deposit",outcome="replayed"} 3.0' in metrics


async def test_the_same_key_with_another_command_is_422(http: httpx.AsyncClient, store: MemoryStore) -> None:
    await post(http)
    others = [
        await post(http, body=money("6")),
        await post(http, body={"amount": "5", "currency": "USD"}),
        await post(http, WITHDRAWALS),
        await post(http, "/accounts/bob/deposits"),
    ]
    for other in others:
        assert (other.status_code, other.json()["type"]) == (422, "urn:kinfold:problem:idempotency-key-reused")
    assert len(store.stored["alice"]) == 1
    assert "bob" not in store.stored


async def test_a_command_that_would_be_refused_by_now_is_replayed(http: httpx.AsyncClient) -> None:
    await post(http, key="open")
    first = await post(http, WITHDRAWALS, key="out")
    again = await post(http, WITHDRAWALS, key="out")
    assert (again.status_code, again.content) == (201, first.content)
    other = await post(http, WITHDRAWALS, key="another")
    assert other.json()["rule"] == "insufficient-funds"


async def test_a_repeat_with_the_if_match_of_before_or_after_is_replayed(http: httpx.AsyncClient) -> None:
    first = await post(http, If_Match='"0"')
    for if_match in ('"0"', '"1"', '"9"', "*"):
        assert (await post(http, If_Match=if_match)).content == first.content
    assert (await post(http, key="new", If_Match='"0"')).status_code == 412


async def test_a_refusal_is_not_recorded(http: httpx.AsyncClient, opened: str) -> None:
    assert (await post(http, WITHDRAWALS, money("11"), key="w")).json()["rule"] == "insufficient-funds"
    await post(http, key="d")
    retried = await post(http, WITHDRAWALS, money("11"), key="w")
    assert (retried.status_code, retried.json()["balance"]) == (201, "4.00")


async def test_a_twin_that_was_faster_gives_its_answer_to_both(http: httpx.AsyncClient, store: MemoryStore) -> None:
    """The twin carries the command out between our look at the key, if we look, and our append."""
    await post(http, key="open")
    answers: list[httpx.Response] = []

    def carry_out_the_twin() -> None:
        store.before_read = store.before_append = lambda: None
        command = Withdraw(amount=Decimal(5), currency="EUR")
        key = command_key("anybody", "twin", "alice", command)
        keys = IdempotencyKeys(cast("Any", store.commands), "commands", retention=60)
        store.add("alice", FundsWithdrawn(amount=Decimal(5), currency="EUR"))
        body = '{"version":2,"events":[{"sequenceNumber":2}]}'
        store.commands.put(keys.record(key, 201, body, store.stored["alice"][-1].reference))

    # Once after our look at the key and before the load (so the account refuses), once right before the append.
    for moment in ("load", "append"):
        store.commands.items.clear()
        del store.stored["alice"][1:]
        store.same_table = False  # so that the account is read
        if moment == "append":
            store.before_append = carry_out_the_twin
        else:
            store.before_read = carry_out_the_twin
        answers.append(await post(http, WITHDRAWALS, key="twin"))
        assert len(store.stored["alice"]) == 2, "the withdrawal was stored twice"
    for answer in answers:
        assert (answer.status_code, answer.headers["idempotency-replayed"]) == (201, "true")
        assert answer.json()["version"] == 2


async def test_an_unknown_end_says_to_send_it_again_with_the_key(http: httpx.AsyncClient, store: MemoryStore) -> None:
    def fail() -> None:
        raise EndpointError("no answer")

    store.before_append = fail
    answer = await post(http)
    assert answer.status_code == 503
    assert "same Idempotency-Key" in answer.json()["detail"]
    store.before_append = lambda: None
    assert (await post(http)).status_code == 201


def test_a_record_expires_and_its_key_is_free_again(store: MemoryStore) -> None:
    now = 1000.0
    keys = IdempotencyKeys(cast("Any", store.commands), "commands", retention=60, clock=lambda: now)
    key = CommandKey("shop#k", "f")
    store.commands.put(keys.record(key, 201, "{}", stored_event().reference))
    assert store.commands.items["shop#k"]["expiresAt"] == {"N": "1060"}
    now = 1059.9
    assert keys.find(key) is not None
    now = 1060
    assert keys.find(key) is None, "DynamoDB deletes an expired item days later"
    store.commands.put(keys.record(key, 201, "{}", stored_event().reference))


def test_each_client_has_keys_of_its_own() -> None:
    command = Deposit(amount=Decimal(5), currency="EUR")
    ids = {command_key(client, "k", "alice", command).command_id for client in ("shop", "till")}
    assert len(ids) == 2
    assert command_key("a", "k", "x", command) == command_key(
        "a", "k", "x", Deposit(amount=Decimal("5.00"), currency="EUR")
    )
    different = [
        command_key("a", "k", "x", command),
        command_key("a", "k", "y", command),
        command_key("a", "k", "x", Withdraw(amount=Decimal(5), currency="EUR")),
        command_key("a", "k", "x", Deposit(amount=Decimal(6), currency="EUR")),
        command_key("a", "k", "x", PlaceBet(bet_id="b", stake=Decimal(5), currency="EUR")),
        command_key("a", "k", "x", PlaceBet(bet_id="c", stake=Decimal(5), currency="EUR")),
    ]
    assert len({key.fingerprint for key in different}) == len(different)


@pytest.mark.parametrize("text", ["k", '"k"', " k ", "8e03978e-40d5-43dd-bc93-6894a57f9324", "a" * 128])
def test_a_key_is_read_bare_or_in_quotes(text: str) -> None:
    assert parse_key(text) == text.strip(' "')


@pytest.mark.parametrize("text", ["", '""', '"', "a b", "a" * 129, "a#b", "k\n", "ké", "../k", '"k'])
async def test_a_malformed_key_is_400_and_stores_nothing(
    http: httpx.AsyncClient, store: MemoryStore, text: str, log_lines: list[MutableMapping[str, Any]]
) -> None:
    if text.isascii() and "\n" not in text:
        answer = await post(http, key=text)
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "Idempotency-Key")
    elif text != "k\n":
        with pytest.raises(ProblemError):
            parse_key(text)
    assert not store.stored
