"""Events that were restored under another name: the former table's records, services and letters."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from msgspec import structs
from structlog.testing import capture_logs

from betting.projections import PROJECTIONS
from betting.projections.balance_summary import BALANCE_SUMMARY
from kinfold.restore.restore import Restore
from ledger.runtime.aws import Clients
from ledger.store.errors import TableReplacedError
from ledger.store.event_store import EventStore
from ledger.store.table_identity import TableIdentities, TableIdentity
from ledger.store.tables import ensure_table, store_specs
from projector.components import Components, build_components
from projector.dead_letters.letters import DeadLetter, Origin
from projector.ingest.batch_handler import BatchHandler
from projector.settings import ProjectorSettings
from stream_bridge.provisioning.bridge import bridge_specs
from tests.integration.projector.conftest import deliver
from tests.integration.projector.rebuild.test_rebuild import Reported
from tests.integration.projector.restore.conftest import MakeAnew
from tests.integration.projector.test_verify import verify
from tests.support.accounts import append, batch, change_record, deposit, deposits, poison
from tests.support.waiting import until

pytestmark = pytest.mark.integration

#: Makes a table of another name with each account's events up to a version, and what serves it.
Move = Callable[[int], Components]


@pytest.fixture
def move(
    components: Components,
    projector_settings: ProjectorSettings,
    make_clients: Callable[[], Clients],
    executor: ThreadPoolExecutor,
) -> Move:
    for spec in bridge_specs(components.names):
        ensure_table(components.clients.dynamodb, spec)

    def move(versions: int) -> Components:
        dynamodb, former = components.clients.dynamodb, components.names.events
        settings = projector_settings.model_copy(update={"events_table": f"{former}.restored"})
        moved = build_components(settings, make_clients(), executor)
        ensure_table(dynamodb, store_specs(moved.names)[0])
        for page in dynamodb.get_paginator("scan").paginate(TableName=former, ConsistentRead=True):
            for item in page["Items"]:
                if int(item["sequenceNumber"]["N"]) <= versions:
                    dynamodb.put_item(TableName=moved.names.events, Item=item)
        return moved

    return move


def recorded(components: Components) -> TableIdentity:
    found = TableIdentities(components.clients.dynamodb, components.names).find()
    assert found is not None
    return found


def run(components: Components) -> None:
    Restore(components, lambda: None, Reported()).run(segments=2)
    components.guard.look()
    components.models.refresh()


def test_everything_is_brought_in_line_with_a_table_of_another_name(
    components: Components, handler: BatchHandler, store: EventStore, move: Move
) -> None:
    deliver(handler, components, *deposit(store, "alice", 5), *deposit(store, "bob", 2))
    moved = move(3)
    with pytest.raises(TableReplacedError, match=f"KINFOLD_EVENTS_TABLE={components.names.events} "):
        moved.guard.identities.check()
    assert Restore(moved, lambda: None, Reported()).look(segments=1).replaced
    run(moved)
    for projection in PROJECTIONS:
        assert verify(moved, projection) == ({}, {"agrees": 2})
    assert recorded(moved).name == moved.names.events
    assert recorded(moved).former == frozenset({components.names.events})
    assert moved.guard.check() == recorded(moved)
    with pytest.raises(TableReplacedError, match=f"KINFOLD_EVENTS_TABLE={moved.names.events} "):
        components.guard.identities.check()


def test_what_serves_the_former_table_stops_before_anything_is_rebuilt(
    components: Components, handler: BatchHandler, store: EventStore, move: Move
) -> None:
    """What it went on to accept would be lost, and a restore may take hours."""
    deliver(handler, components, *deposit(store, "alice", 2))
    moved, found = move(2), list[str | None]()

    def look() -> None:
        components.guard.look()
        found.append(components.guard.reason)

    Restore(moved, look, Reported()).run(segments=1)
    assert found[0] is not None
    assert moved.names.events in found[0]


def test_records_of_the_former_table_are_neither_folded_nor_dead_letters(
    components: Components, handler: BatchHandler, store: EventStore, move: Move
) -> None:
    """The stream has them for a day; and what still writes to the former table adds to them."""
    events = deposit(store, "alice", 4)
    deliver(handler, components, *events)
    moved = move(2)
    run(moved)
    after = append(store, "alice", deposits(1)).events
    removed = change_record(events[0], components.names.events, name="REMOVE")
    former = [change_record(each, components.names.events) for each in (*events, *after)]
    with capture_logs() as logs:
        deliver(moved.batch_handler(), moved, *former, removed)
    assert list(moved.letters.list()) == []
    lost = {each["sequence_number"] for each in logs if each["event"] == "event_is_lost"}
    assert lost == {3, 4, 5}
    assert [each["sequence_number"] for each in logs if each["event"] == "former_table_changed"] == [1]
    deliver(moved.batch_handler(), moved, *append(moved.store, "alice", deposits(1)).events)
    for projection in PROJECTIONS:
        assert verify(moved, projection) == ({}, {"agrees": 1})


def test_a_record_of_a_table_that_the_events_never_were_in_is_a_dead_letter(
    components: Components, store: EventStore, move: Move
) -> None:
    events = deposit(store, "alice", 1)
    moved = move(1)
    run(moved)
    deliver(moved.batch_handler(), moved, change_record(events[0], "others"))
    [letter] = moved.letters.list()
    assert "of table 'others'" in letter.letter.reason


def test_a_skipped_event_that_is_in_the_new_table_stays_skipped(
    components: Components, handler: BatchHandler, store: EventStore, move: Move
) -> None:
    """Its letter holds the record of the former table."""
    last = deposit(store, "alice", 2)[-1]
    bad = poison(components.clients.dynamodb, components.names.events, last)
    deliver(handler, components, *store.load("alice").events)
    components.redrive.skip("balance-summary~alice~3", components.projectors.fed, by="me", why="ticket 4711")
    moved = move(3)
    run(moved)
    head = moved.models.active(BALANCE_SUMMARY).get("alice")
    assert head is not None
    assert (head.version, head.halted) == (bad.sequence_number, None)
    assert {each.id: each.state for each in moved.letters.list()} == {
        "balance-summary~alice~3": "skipped",
        "daily-activity~alice~3": "open",
    }


def test_a_batch_that_waited_through_a_restore_is_judged_by_the_restored_table(
    components: Components, handler: BatchHandler, store: EventStore, make_anew: MakeAnew
) -> None:
    [kept] = deposit(store, "alice")
    deliver(handler, components, kept)
    lost = structs.replace(kept, sequence_number=2, correlation_id="lost")
    make_anew(1)
    components.guard.look()
    waiting = batch(components.names.events, lost)

    async def restored_meanwhile() -> None:
        handling = asyncio.create_task(handler.handle([waiting]))
        await asyncio.to_thread(until, lambda: handler.fault is not None)
        identities = components.guard.identities
        identities.restored(identities.actual(), datetime.now(UTC))
        await asyncio.to_thread(components.guard.look)
        await handling

    asyncio.run(restored_meanwhile())
    head = components.models.active(BALANCE_SUMMARY).get("alice")
    assert head is not None
    assert head.version == 1


def test_a_record_that_is_read_at_last_is_folded_only_if_the_table_holds_its_event(
    components: Components, handler: BatchHandler, store: EventStore
) -> None:
    [kept] = deposit(store, "alice")
    deliver(handler, components, kept)
    lost = structs.replace(kept, sequence_number=2, correlation_id="lost")
    letter = DeadLetter("unreadable", Origin("s", "shard", "1"), change_record(lost, components.names.events))
    components.letters.store(letter)
    for dry_run in (True, False):
        outcome = components.redrive.redrive(letter.id, components.projectors.fed, by="me", dry_run=dry_run)
        assert outcome.result == "still unusable"
        assert "does not hold its event" in (outcome.reason or "")
    head = components.models.active(BALANCE_SUMMARY).get("alice")
    assert head is not None
    assert head.version == 1
