"""Writers that hold accounts: several on one account, and one that holds what a restore of the table has lost."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal

import httpx
import pytest

from betting import RESOURCES
from ledger.runtime.auth import Access
from ledger.runtime.aws import Clients
from ledger.store.event_store import EventStore
from ledger.store.idempotency_keys import IdempotencyKeys
from ledger.store.snapshots import SnapshotStore
from ledger.store.table_identity import GOOD_FOR, TableGuard, TableIdentities
from ledger.store.tables import Names
from tests.support.accounts import is_held
from tests.support.aws.restored import restore_events
from writer.commands.aggregate_repository import AggregateRepository
from writer.commands.snapshot_writer import SnapshotWriter
from writer.http.app import build_api
from writer.metrics import Metrics
from writer.settings import WriterSettings

pytestmark = pytest.mark.integration


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Writer:
    """A writer with clients, accounts and a look at the table of its own."""

    def __init__(self, clients: Clients, names: Names) -> None:
        self.clock = Clock()
        self.identities = TableIdentities(clients.dynamodb, names)
        self.guard = TableGuard(self.identities, clock=self.clock)
        self.metrics = Metrics()
        self.accounts = AggregateRepository(
            EventStore(clients.dynamodb, names.events, guard=self.guard.check, table_id=self.guard.table_id),
            SnapshotWriter(SnapshotStore(clients.dynamodb, names.snapshots), self.metrics, interval=5),
            held=100,
        )
        settings = WriterSettings.model_validate(
            {
                "profile": names.profile,
                "writer_conflict_retries": 100,
                "writer_patience": 60,
                "writer_queue": 200,
                "writer_queue_wait": 60,
            }
        )
        keys = IdempotencyKeys(clients.dynamodb, names.commands, retention=3600)
        self.api = build_api(RESOURCES, self.accounts, keys, settings, Access(None), self.metrics)
        self.http = httpx.AsyncClient(transport=httpx.ASGITransport(self.api), base_url="http://writer", timeout=60)
        self.guard.look()

    async def post(self, what: str, amount: str, key: str | None = None) -> httpx.Response:
        headers = {} if key is None else {"Idempotency-Key": key}
        return await self.http.post(
            f"/accounts/alice/{what}", json={"amount": amount, "currency": "EUR"}, headers=headers
        )

    def counted(self, name: str) -> float:
        return self.metrics.registry.get_sample_value(f"kinfold_writer_{name}_total") or 0


@pytest.fixture
def make_writer(make_clients: Callable[[], Clients], ledger_tables: Names) -> Callable[[], Writer]:
    return lambda: Writer(make_clients(), ledger_tables)


async def test_writers_that_hold_one_account_keep_it_exact(
    make_writer: Callable[[], Writer], store: EventStore
) -> None:
    writers = [make_writer() for _ in range(3)]
    await writers[0].post("deposits", "100.00")
    asked = [
        writers[n % 3].post("deposits", "0.10", f"in{n}" if n % 5 == 0 else None)
        if n % 2
        else writers[n % 3].post("withdrawals", "0.07", f"out{n}" if n % 5 == 0 else None)
        for n in range(150)
    ]
    answers = await asyncio.gather(*asked)
    assert {answer.status_code for answer in answers} == {201}
    assert sorted(answer.json()["version"] for answer in answers) == list(range(2, 152))
    balance = Decimal(100)
    for event in store.load("alice").events[1:]:
        answer = next(each.json() for each in answers if each.json()["version"] == event.sequence_number)
        balance += Decimal("0.10") if event.event_type == "FundsDeposited" else -Decimal("0.07")
        assert (answer["balance"], answer["events"][0]["correlationId"]) == (f"{balance:.2f}", event.correlation_id)
    assert sum(each.counted("conflicts") for each in writers) > 0, "the writers never met: this run proves nothing"
    assert sum(each.counted("appends") for each in writers) < 150, "no commands were stored together"


async def test_racing_withdrawals_by_several_writers_never_overdraw(make_writer: Callable[[], Writer]) -> None:
    writers = [make_writer() for _ in range(3)]
    for writer in writers:
        await writer.post("deposits", "4.00")
    answers = await asyncio.gather(*(writers[n % 3].post("withdrawals", "3.00") for n in range(30)))
    assert sorted(answer.status_code for answer in answers) == [201] * 4 + [422] * 26
    assert (await writers[0].http.get("/accounts/alice")).json()["balance"] == "0.00"


@pytest.mark.parametrize("key", [None, "key"])
@pytest.mark.parametrize("noticed", ["by its age", "by its id", "after the restore"])
async def test_what_a_restored_table_has_lost_is_not_appended_to(
    make_writer: Callable[[], Writer], clients: Clients, ledger_tables: Names, noticed: str, key: str | None
) -> None:
    """The writer holds alice at version 8; the table ends at 3. An event 9 would be a hole that nothing can fill."""
    writer = make_writer()
    writer.identities.begin()
    for _ in range(8):
        assert (await writer.post("deposits", "1.00")).status_code == 201
    assert is_held(writer.accounts, "alice")
    restore_events(clients, ledger_tables, lambda event: event.sequence_number <= 3)
    if noticed == "by its age":
        writer.clock.now += GOOD_FOR + 0.1
    else:
        if noticed == "by its id":
            writer.guard.look()
            assert (await writer.post("deposits", "1.00")).status_code == 503
        writer.identities.restored(writer.identities.actual(), datetime.now(UTC))
        writer.guard.look()
    accepted = await writer.post("deposits", "1.00", key)
    assert (accepted.status_code, accepted.json()["version"], accepted.json()["balance"]) == (201, 4, "4.00")
    read = await writer.http.get("/accounts/alice/events")
    assert [event["sequenceNumber"] for event in read.json()["events"]] == [1, 2, 3, 4]


async def test_a_table_that_is_being_deleted_is_not_vouched_for(
    make_writer: Callable[[], Writer], clients: Clients, ledger_tables: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = make_writer()
    await writer.post("deposits", "1.00")
    assert is_held(writer.accounts, "alice")
    table = writer.identities.actual()
    monkeypatch.setattr(writer.identities, "described", lambda: (table, True))
    writer.guard.look()
    assert not is_held(writer.accounts, "alice")


async def test_while_nobody_can_look_accounts_are_read(make_writer: Callable[[], Writer]) -> None:
    writer = make_writer()
    for version in range(1, 4):
        assert (await writer.post("deposits", "1.00")).json()["version"] == version
        writer.clock.now += GOOD_FOR + 0.1
    writer.guard.look()
    assert (await writer.post("deposits", "1.00")).json()["version"] == 4
    assert is_held(writer.accounts, "alice")
