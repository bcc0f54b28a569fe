"""What commands and loads cost: requests, and write units as the endpoint reports them."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from functools import partial

import httpx
import pytest

from betting.account import Account
from betting.account_type import ACCOUNT
from ledger.runtime.aws import Clients
from ledger.store.event_store import EventStore
from ledger.store.idempotency_keys import CommandKey, IdempotencyKeys
from ledger.store.snapshots import Snapshot, SnapshotStore, decode
from ledger.store.stored_event import item_size
from ledger.store.tables import Names
from tests.support.accounts import aggregate_of, append, deposit, deposits, rising_deposits, save
from tests.support.aws.consumption import consumption
from tests.support.waiting import until
from writer.commands.aggregate_repository import AggregateRepository
from writer.commands.snapshot_writer import SnapshotWriter
from writer.metrics import Metrics

pytestmark = pytest.mark.integration

#: Of over 1 KB each, some three pages of a Query.
EVENTS = 2500


@pytest.fixture
def exact(request: pytest.FixtureRequest) -> bool:
    """Whether the endpoint charges a transaction as AWS does. The DynamoDB Local of LocalStack does not."""
    return not (request.config.getoption("--aws-endpoint") or request.config.getoption("--localstack"))


def append_1_kb(store: EventStore, keys: IdempotencyKeys | None, events: int) -> float:
    """Append ``events`` events of just under 1 KB after a load; with ``keys``, and a record of their command."""
    long = "c" * 800
    key = CommandKey("shop#" + "k" * 32, "f" * 64)
    return store.append(
        "alice",
        deposits(events),
        store.load("alice").version,
        aggregate_type=ACCOUNT.name,
        correlation_id=long,
        command=None if keys is None else lambda stored: keys.record(key, 201, stored[0].payload, stored[-1].reference),
    ).write_units


@pytest.mark.parametrize(
    ("events", "keyed", "units"),
    [
        (1, False, 1),  # a conditional PutItem
        (3, False, 6),  # a transaction: two a KB
        (3, True, 8),  # the key's record: two more
        (1, True, 4),  # a transaction of one event, two, and the record, two
    ],
)
def test_write_units_of_an_append_of_1_kb_events(
    clients: Clients, store: EventStore, keys: IdempotencyKeys, exact: bool, events: int, keyed: bool, units: float
) -> None:
    deposit(store, "alice")
    with consumption(clients) as counts:
        told = append_1_kb(store, keys if keyed else None, events)
    assert told == counts.write_units
    assert told == units or ((events > 1 or keyed) and not exact)
    assert all(900 < item_size(event.to_item()) <= 1024 for event in store.load("alice", after=1).events)


async def post(http: httpx.AsyncClient, account: str, *, key: str | None = None, what: str = "deposits") -> int:
    headers = {} if key is None else {"Idempotency-Key": key}
    body = {"amount": "1", "currency": "EUR"}
    return (await http.post(f"/accounts/{account}/{what}", json=body, headers=headers)).status_code


@pytest.mark.parametrize(
    ("key", "request_made", "units"), [(None, "PutItem", 1.0), ("k", "TransactWriteItems", 4.0)], ids=["plain", "keyed"]
)
async def test_a_command_on_a_held_account_is_one_call_without_a_read(
    http: httpx.AsyncClient, clients: Clients, exact: bool, key: str | None, request_made: str, units: float
) -> None:
    with consumption(clients) as counts:
        assert await post(http, "alice", key=key and f"{key}0") == 201
    assert counts.requests == {"Query": 1, request_made: 1}, "one that is not held is read"
    with consumption(clients) as counts:
        for number in range(1, 4):
            assert await post(http, "alice", key=key and f"{key}{number}") == 201
    assert (counts.requests, counts.read_units) == ({request_made: 3}, 0)
    assert counts.write_units == 3 * units or not exact


async def test_a_refusal_of_a_held_account_is_one_query_more(http: httpx.AsyncClient, clients: Clients) -> None:
    await post(http, "alice")
    await post(http, "alice", what="withdrawals")
    with consumption(clients) as counts:
        assert await post(http, "alice", what="withdrawals") == 422
    assert (counts.requests, counts.write_units) == ({"Query": 1}, 0)


async def test_a_hot_account_costs_two_write_units_an_event_and_few_calls(
    http: httpx.AsyncClient, clients: Clients, store: EventStore, exact: bool
) -> None:
    await post(http, "alice")
    with consumption(clients) as counts:
        assert set(await asyncio.gather(*(post(http, "alice") for _ in range(160)))) == {201}
    assert store.version("alice").number == 161
    assert counts.write_units <= 2.2 * 160 or not exact
    assert counts.read_units == 0
    # Eight threads: a group is what seven others have sent meanwhile.
    assert sum(counts.requests.values()) < 130


async def test_the_metrics_count_the_write_units(http: httpx.AsyncClient, clients: Clients, exact: bool) -> None:
    body = {"amount": "1", "currency": "EUR"}
    with consumption(clients) as counts:
        await http.post("/accounts/alice/deposits", json=body)
        await http.post("/accounts/alice/deposits", json=body, headers={"Idempotency-Key": "k"})
    metrics = (await http.get("/metrics")).text
    assert counts.write_units == 5 or not exact
    assert f'kinfold_writer_write_units_total{{command="deposit"}} {counts.write_units}' in metrics


def test_an_account_of_several_pages_is_loaded_by_at_most_3_requests(
    clients: Clients, store: EventStore, ledger_tables: Names, metrics: Metrics
) -> None:
    version = store.version("alice")
    for start in range(0, EVENTS, 100):
        version = append(store, "alice", rising_deposits(100, start + 1), version, correlation_id="c" * 900).version
    with consumption(clients) as counts:
        history = [event.decode(ACCOUNT) for event in store.read("alice")]
    assert counts.requests["Query"] > 2, "a whole history would take more"
    full = Account.reconstitute("alice", history)
    snapshots = SnapshotStore(clients.dynamodb, ledger_tables.snapshots)
    accounts = AggregateRepository(store, SnapshotWriter(snapshots, metrics, interval=100))
    for snapshot in (EVENTS, EVENTS - 50, EVENTS - 99):
        clients.dynamodb.delete_item(TableName=ledger_tables.snapshots, Key={"aggregateId": {"S": "alice"}})
        snapshots.save(Snapshot(aggregate_of(Account.reconstitute("alice", history[:snapshot])), None))
        with consumption(clients) as counts:
            loaded = accounts.load(ACCOUNT, "alice")
        assert (loaded.aggregate.state, loaded.proof.number) == (full, EVENTS)
        assert counts.requests == {"GetItem": 1, "Query": 1}, "at most 3"
    # And it may be appended to at once, without another look.
    with consumption(clients) as counts:
        save(accounts, loaded, deposits())
    assert counts.requests == {"PutItem": 1}
    accounts.close(10)


async def test_a_snapshot_is_written_behind_the_answer_and_used_by_the_next_load(
    http: httpx.AsyncClient, clients: Clients, ledger_tables: Names
) -> None:
    for _ in range(7):
        await http.post("/accounts/alice/deposits", json={"amount": "1", "currency": "EUR"})
    store = SnapshotStore(clients.dynamodb, ledger_tables.snapshots)
    found = await asyncio.to_thread(until, partial(store.find, "alice"))
    assert found is not None
    snapshot = decode(ACCOUNT, "alice", found)
    assert (snapshot.aggregate.state.version, snapshot.aggregate.state.balance) == (5, Decimal(5))
    assert (await http.get("/accounts/alice")).json()["balance"] == "7.00"


def test_of_many_snapshots_at_once_the_newest_stays(clients: Clients, ledger_tables: Names) -> None:
    store = SnapshotStore(clients.dynamodb, ledger_tables.snapshots)
    made = [
        Snapshot(aggregate_of(Account.reconstitute("alice", deposits(version))), str(version))
        for version in range(1, 31)
    ]
    with ThreadPoolExecutor(8) as pool:
        saved = sum(pool.map(store.save, reversed(made + made)))
    assert 1 <= saved < len(made) * 2
    found = store.find("alice")
    assert found is not None
    assert decode(ACCOUNT, "alice", found) == made[-1]
