"""A table of events restored to an earlier moment, and written to since: nothing derived from what was lost counts."""

from collections.abc import Callable

import httpx
import pytest

from betting.account_type import ACCOUNT
from ledger.runtime.aws import Clients
from ledger.store.event_store import EventStore
from ledger.store.snapshots import SnapshotStore, decode
from ledger.store.table_identity import TableGuard
from ledger.store.tables import Names
from tests.support.accounts import append, deposits
from tests.support.aws.restored import restore_events
from tests.support.waiting import until

pytestmark = pytest.mark.integration

Lose = Callable[[str, int], None]


@pytest.fixture
def snapshot_table(clients: Clients, ledger_tables: Names) -> SnapshotStore:
    return SnapshotStore(clients.dynamodb, ledger_tables.snapshots)


@pytest.fixture
def lose(clients: Clients, ledger_tables: Names, guard: TableGuard) -> Lose:
    """Restores the table with an account at an earlier version, which the writer notices. It holds the account."""

    def lose(account_id: str, version: int) -> None:
        restore_events(
            clients,
            ledger_tables,
            lambda event: event.aggregate_id != account_id or event.sequence_number <= version,
        )
        guard.look()

    return lose


async def deposit(http: httpx.AsyncClient, amount: str, **headers: str) -> httpx.Response:
    return await http.post("/accounts/alice/deposits", json={"amount": amount, "currency": "EUR"}, headers=headers)


def snapshot_at(table: SnapshotStore, version: int, event_hash: str | None = None) -> bool:
    item = table.find("alice")
    if item is None:
        return False
    snapshot = decode(ACCOUNT, "alice", item)
    return snapshot.aggregate.state.version == version and event_hash in (None, snapshot.event_hash)


@pytest.mark.parametrize("since", [2, 5, 7], ids=["before the snapshot's number", "at it", "beyond it"])
async def test_a_snapshot_of_lost_events_is_ignored_and_replaced(
    http: httpx.AsyncClient, store: EventStore, snapshot_table: SnapshotStore, lose: Lose, since: int
) -> None:
    for _ in range(10):
        await deposit(http, "100")
    until(lambda: snapshot_at(snapshot_table, 10))
    lose("alice", 5)
    append(store, "alice", deposits(since))
    refused = await http.post("/accounts/alice/withdrawals", json={"amount": "800", "currency": "EUR"})
    assert refused.status_code == 422, "the snapshot still says 1000.00"
    assert (await http.get("/accounts/alice")).json()["balance"] == f"{500 + since}.00"
    last = store.load("alice", after=4 + since).events[-1].event_hash
    until(lambda: snapshot_at(snapshot_table, 5 + since, last))


async def bet(http: httpx.AsyncClient, *bet_ids: str) -> list[int]:
    """Place and settle each, of a stake of 1; gives the statuses of placing them."""
    placed = []
    for bet_id in bet_ids:
        body = {"betId": bet_id, "stake": "1", "currency": "EUR"}
        placed.append((await http.post("/accounts/alice/bets", json=body)).status_code)
        settled = {"payout": "1", "currency": "EUR"}
        await http.post(f"/accounts/alice/bets/{bet_id}/settlement", json=settled)
    return placed


async def test_a_bet_that_was_settled_and_archived_is_placed_again_only_where_a_restore_has_lost_it(
    http: httpx.AsyncClient, store: EventStore, snapshot_table: SnapshotStore, lose: Lose
) -> None:
    await deposit(http, "100")
    assert await bet(http, *"abcdefg") == [201] * 7
    until(lambda: snapshot_at(snapshot_table, 15))
    assert {each.used_id for each in snapshot_table.archive.find("alice", "abcdefgh")} == set("abcdefg")
    assert await bet(http, "a", "g") == [422, 422]
    lose("alice", 9)
    assert await bet(http, "a", "d", "g", "f") == [422, 422, 201, 201]
    until(lambda: snapshot_at(snapshot_table, 10, store.load("alice", after=9).events[0].event_hash))
    assert await bet(http, *"abcdefg") == [422] * 4 + [201] + [422] * 2


async def test_a_snapshot_of_an_account_that_begins_anew_never_counts_and_is_replaced(
    http: httpx.AsyncClient, store: EventStore, snapshot_table: SnapshotStore, lose: Lose
) -> None:
    for _ in range(10):
        await deposit(http, "1")
    until(lambda: snapshot_at(snapshot_table, 10))
    lose("alice", 0)
    assert (await http.get("/accounts/alice")).status_code == 404
    for number in range(1, 8):
        append(store, "alice", deposits(1))
        assert (await http.get("/accounts/alice")).json()["balance"] == f"{number}.00"
    last = store.load("alice", after=6).events[0].event_hash
    until(lambda: snapshot_at(snapshot_table, 7, last))


async def test_a_snapshot_stored_without_a_hash_is_read_and_the_next_one_has_it(
    http: httpx.AsyncClient, clients: Clients, ledger_tables: Names, store: EventStore, snapshot_table: SnapshotStore
) -> None:
    for _ in range(5):
        await deposit(http, "1")
    until(lambda: snapshot_at(snapshot_table, 5))
    clients.dynamodb.update_item(
        TableName=ledger_tables.snapshots, Key={"aggregateId": {"S": "alice"}}, UpdateExpression="REMOVE eventHash"
    )
    for _ in range(4):
        await deposit(http, "1")
    item = snapshot_table.find("alice")
    assert item is not None
    assert decode(ACCOUNT, "alice", item).aggregate.state.version == 5, "neither replaced nor deleted"
    await deposit(http, "1")
    [at_ten] = store.load("alice", after=9, until=10).events
    until(lambda: snapshot_at(snapshot_table, 10, at_ten.event_hash))


@pytest.mark.parametrize("since", [0, 2, 3], ids=["nothing since", "before its number", "another event at its number"])
async def test_a_repeat_of_a_command_whose_events_are_lost_is_carried_out(
    http: httpx.AsyncClient, store: EventStore, lose: Lose, since: int
) -> None:
    for _ in range(2):
        await deposit(http, "1")
    assert (await deposit(http, "10", **{"Idempotency-Key": "k"})).json()["balance"] == "12.00"
    lose("alice", 1)
    if since:
        append(store, "alice", deposits(since))
    first, second = [await deposit(http, "10", **{"Idempotency-Key": "k"}) for _ in range(2)]
    assert (first.status_code, first.json()["balance"]) == (201, f"{11 + since}.00")
    assert "idempotency-replayed" not in first.headers
    assert (second.content, second.headers["idempotency-replayed"]) == (first.content, "true")
    assert store.version("alice").number == 2 + since


async def test_a_key_whose_events_are_lost_is_free_for_another_command(http: httpx.AsyncClient, lose: Lose) -> None:
    await deposit(http, "10", **{"Idempotency-Key": "k"})
    lose("alice", 0)
    assert (await deposit(http, "20", **{"Idempotency-Key": "k"})).json()["balance"] == "20.00"


async def test_a_record_stored_without_its_event_is_an_answer(
    http: httpx.AsyncClient, clients: Clients, ledger_tables: Names
) -> None:
    first = await deposit(http, "10", **{"Idempotency-Key": "k"})
    [record] = clients.dynamodb.scan(TableName=ledger_tables.commands)["Items"]
    old = {name: value for name, value in record.items() if name not in {"aggregateId", "sequenceNumber", "eventHash"}}
    clients.dynamodb.put_item(TableName=ledger_tables.commands, Item=old)
    again = await deposit(http, "10", **{"Idempotency-Key": "k"})
    assert (again.content, again.headers["idempotency-replayed"]) == (first.content, "true")
