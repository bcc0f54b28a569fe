"""An events table that was made anew is noticed, nothing is folded from it before a restore, and lost events never."""

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from msgspec import structs

from betting.projections.balance_summary import BALANCE_SUMMARY, BalanceSummary
from ledger.runtime.aws import Clients
from ledger.store.errors import TableReplacedError
from ledger.store.event_store import EventStore
from ledger.store.stored_event import StoredEvent
from ledger.store.table_identity import TableGuard, TableIdentities
from ledger.store.tables import Names, ensure_table
from projector.components import Components
from projector.dead_letters.letters import DeadLetter, Origin
from projector.engine.read_model import ReadModel, table_spec
from projector.ingest.batch_handler import CLOCKS, BatchHandler
from projector.rebuild.build_lease import BuildStore
from tests.integration.projector.conftest import deliver
from tests.integration.projector.restore.conftest import MakeAnew
from tests.support.accounts import append, batch, deposit, deposits
from tests.support.waiting import until

pytestmark = pytest.mark.integration


@pytest.fixture
def identities(components: Components) -> TableIdentities:
    return TableIdentities(components.clients.dynamodb, components.names)


def test_the_table_that_all_is_derived_from_is_recorded_once(identities: TableIdentities, make_anew: MakeAnew) -> None:
    recorded = identities.check()
    assert recorded is not None
    assert recorded.table_id == identities.actual()
    make_anew(0)
    identities.begin()
    assert identities.find() == recorded, "a service that starts now must not take the new table for the old one"
    with pytest.raises(TableReplacedError, match="`kinfold restore`"):
        identities.check()
    identities.restored(identities.actual(), datetime.now(UTC))
    assert identities.check() is not None


def test_before_anything_was_derived_no_table_is_the_wrong_one(clients: Clients, ledger_tables: Names) -> None:
    """A writer or a relay may start before the table of control rows is there."""
    assert TableIdentities(clients.dynamodb, ledger_tables).check() is None


def test_nothing_is_folded_from_a_table_made_anew_until_it_is_restored(
    components: Components,
    handler: BatchHandler,
    store: EventStore,
    summaries: ReadModel[BalanceSummary],
    identities: TableIdentities,
    make_anew: MakeAnew,
) -> None:
    deliver(handler, components, *deposit(store, "alice", 2))
    make_anew(0)
    components.guard.look()
    asyncio.run(held_until_restored(handler, components, identities, *deposit(store, "bob")))
    assert summaries.get("bob") is not None


def test_a_worker_that_has_not_looked_yet_feeds_no_lost_event_to_what_a_restore_builds(
    components: Components,
    handler: BatchHandler,
    store: EventStore,
    summaries: ReadModel[BalanceSummary],
    identities: TableIdentities,
    make_anew: MakeAnew,
) -> None:
    """It looks every twenty seconds only, and a restore of a small table is faster."""
    [kept, lost] = deposit(store, "alice", 2)
    components.guard.look()
    deliver(handler, components, kept)
    make_anew(1)
    clients, names = components.clients, components.names
    ensure_table(clients.dynamodb, table_spec(BALANCE_SUMMARY, names.profile, 2))
    BuildStore(clients.dynamodb, names.projections).start(BALANCE_SUMMARY.name, 2, "me", active=1, segments=1)
    components.models.refresh()
    asyncio.run(held_until_restored(handler, components, identities, lost))
    assert components.models.model(BALANCE_SUMMARY, 2).get("alice") is None


async def held_until_restored(
    handler: BatchHandler, components: Components, identities: TableIdentities, *events: StoredEvent
) -> None:
    """A batch is not completed before a restore ends, and then it is."""
    delivered = batch(components.names.events, *events)
    handling = asyncio.create_task(handler.handle([delivered]))
    await asyncio.to_thread(until, lambda: handler.fault is not None or handling.done())
    assert not delivered.completed
    assert handler.fault is not None
    assert "kinfold restore" in handler.fault.reason
    identities.restored(identities.actual(), datetime.now(UTC))
    await asyncio.to_thread(components.guard.look)
    await handling
    assert delivered.completed


def test_a_record_of_a_lost_event_is_not_folded_after_a_restore(
    components: Components,
    handler: BatchHandler,
    store: EventStore,
    summaries: ReadModel[BalanceSummary],
    identities: TableIdentities,
) -> None:
    """The stream keeps for a day what the table no longer holds."""
    [kept] = deposit(store, "alice")
    deliver(handler, components, kept)
    lost = structs.replace(kept, sequence_number=2, correlation_id="lost")
    identities.restored(identities.actual(), datetime.now(UTC))
    components.guard.look()
    deliver(handler, components, lost)
    head = summaries.get("alice")
    assert head is not None
    assert head.version == 1
    [second] = append(store, "alice", deposits(1)).events
    deliver(handler, components, lost, second)
    head = summaries.get("alice")
    assert head is not None
    assert (head.version, head.event_hash) == (2, second.event_hash)


def test_what_arrives_after_a_restore_is_not_looked_for_in_the_table(
    components: Components,
    handler: BatchHandler,
    store: EventStore,
    identities: TableIdentities,
    calls: Counter[str],
) -> None:
    identities.restored(identities.actual(), datetime.now(UTC) - CLOCKS - timedelta(seconds=1))
    components.guard.look()
    events = deposit(store, "alice")
    calls.clear()
    deliver(handler, components, *events)
    assert calls["BatchGetItem"] == 0


def test_what_was_skipped_of_a_lost_history_is_forgotten_once_it_is_restored(
    components: Components, identities: TableIdentities, make_anew: MakeAnew
) -> None:
    letter = DeadLetter("no amount", Origin("s", "shard", "1"), b"", "balance-summary", "alice", 2)
    components.letters.store(letter)
    components.letters.skip(letter.id, by="me", why="ticket 4711")
    components.skips.load()
    skipped = components.skips.of("balance-summary")
    assert skipped("alice", 2)
    make_anew(0)
    components.guard.look()
    components.clients.dynamodb.delete_item(TableName=components.names.dead_letters, Key={"id": {"S": letter.id}})
    identities.restored(identities.actual(), datetime.now(UTC))
    components.guard.look()
    assert not skipped("alice", 2)


def test_a_service_looks_again_and_again(
    identities: TableIdentities, make_anew: MakeAnew, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ledger.store.table_identity.LOOK_INTERVAL", 0.05)
    with TableGuard(identities).watching() as guard:
        assert guard.reason is None
        make_anew(0)
        until(lambda: guard.reason is not None)
        with pytest.raises(TableReplacedError):
            guard.check()
        identities.restored(identities.actual(), datetime.now(UTC))
        until(lambda: guard.reason is None)
    assert guard.check() == identities.find()
