"""`kinfold restore`: after the events table came back with less, everything agrees with it, and with nothing else."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest

from betting.account import Account
from betting.account_type import ACCOUNT
from betting.events import BetPlaced, BetSettled
from betting.projections import PROJECTIONS
from betting.projections.balance_summary import BALANCE_SUMMARY
from betting.projections.daily_activity import DAILY_ACTIVITY
from kinfold.restore import restore
from kinfold.restore.histories import HolesError
from kinfold.restore.restore import Restore
from ledger.errors import EndpointError
from ledger.runtime.aws import Clients
from ledger.store.event_store import EventStore
from ledger.store.idempotency_keys import CommandKey, IdempotencyKeys
from ledger.store.snapshots import Snapshot, SnapshotStore
from ledger.store.table_identity import TableIdentities
from ledger.store.tables import Names, ensure_table
from projector.components import Components, build_components
from projector.engine.read_model import table_spec
from projector.ingest.batch_handler import BatchHandler
from projector.rebuild.build_lease import BuildStore
from projector.settings import ProjectorSettings
from stream_bridge.provisioning.bridge import bridge_specs
from tests.integration.projector.conftest import MakeComponents, deliver
from tests.integration.projector.rebuild.test_rebuild import Reported
from tests.integration.projector.restore.conftest import MakeAnew
from tests.integration.projector.test_verify import verify
from tests.support.accounts import aggregate_of, append, deposit, deposits, poison

pytestmark = pytest.mark.integration

MakeRestore = Callable[[], Restore]


@pytest.fixture
def new_restore(components: Components, another: MakeComponents, ledger_tables: Names) -> MakeRestore:
    for spec in bridge_specs(ledger_tables):
        ensure_table(components.clients.dynamodb, spec)
    return lambda: Restore(another(), lambda: None, Reported())


@pytest.fixture
def snapshots(clients: Clients, ledger_tables: Names) -> SnapshotStore:
    return SnapshotStore(clients.dynamodb, ledger_tables.snapshots)


@pytest.fixture
def keys(clients: Clients, ledger_tables: Names) -> IdempotencyKeys:
    return IdempotencyKeys(clients.dynamodb, ledger_tables.commands, retention=3600)


def snapshot(store: EventStore, snapshots: SnapshotStore, account_id: str) -> None:
    events = store.load(account_id).events
    account = Account.reconstitute(account_id, [event.decode(ACCOUNT) for event in events])
    assert snapshots.save(Snapshot(aggregate_of(account), events[-1].event_hash))


def recorded(store: EventStore, keys: IdempotencyKeys, account_id: str, key: str) -> None:
    """A deposit with an Idempotency-Key."""
    version = store.version(account_id)
    store.append(
        account_id,
        deposits(1),
        version,
        aggregate_type="account",
        correlation_id=key,
        command=lambda stored: keys.record(CommandKey(f"shop#{key}", "f"), 201, "{}", stored[-1].reference),
    )


def held_back(components: Components) -> bool:
    components.guard.look()
    return components.guard.reason is not None


def test_everything_is_brought_in_line_with_a_table_that_came_back_with_less(
    components: Components,
    handler: BatchHandler,
    store: EventStore,
    snapshots: SnapshotStore,
    keys: IdempotencyKeys,
    make_anew: MakeAnew,
    new_restore: MakeRestore,
) -> None:
    """Alice is lost from event 5 on, and bob not: he had three."""
    deliver(handler, components, *deposit(store, "alice", 11), *deposit(store, "bob", 2))
    for account_id in ("alice", "bob"):
        recorded(store, keys, account_id, account_id)
        deliver(handler, components, store.load(account_id).events[-1])
        snapshot(store, snapshots, account_id)
    lost = store.load("alice").events
    deliver(handler, components, poison(components.clients.dynamodb, components.names.events, lost[-1]))
    components.redrive.skip("daily-activity~alice~13", components.projectors.fed, by="me", why="ticket 4711")
    make_anew(5)
    append(store, "alice", deposits(7))

    planned = new_restore().look(segments=2)
    assert planned.replaced
    assert (planned.histories.events, planned.histories.aggregates, planned.histories.holes) == (15, 2, {})
    assert (planned.leftovers.snapshots, planned.leftovers.answers) == (1, 1)
    dropped = {"balance-summary~alice~13", "daily-activity~alice~13"}
    assert set(planned.leftovers.dead_letters) == dropped
    assert snapshots.find("alice") is not None, "a dry run changes nothing"

    done = new_restore().run(segments=2)
    assert done.leftovers == planned.leftovers
    assert snapshots.find("alice") is None
    assert snapshots.find("bob") is not None
    assert keys.find(CommandKey("shop#alice", "f")) is None
    assert keys.find(CommandKey("shop#bob", "f")) is not None
    assert list(components.letters.list()) == []
    components.models.refresh()
    for projection in PROJECTIONS:
        assert verify(components, projection) == ({}, {"agrees": 2})
    head = components.models.active(BALANCE_SUMMARY).get("alice")
    assert head is not None
    assert head.state is not None
    assert (head.version, head.state.balance) == (12, Decimal(12))
    # What the stream still holds of the lost events changes nothing, and what is new goes on.
    assert not held_back(components)
    deliver(handler, components, *lost, *append(store, "alice", deposits(1)).events)
    for projection in PROJECTIONS:
        assert verify(components, projection) == ({}, {"agrees": 2})


def test_an_archived_bet_is_dropped_where_no_event_settles_it(
    store: EventStore, snapshots: SnapshotStore, make_anew: MakeAnew, new_restore: MakeRestore
) -> None:
    bets = [BetPlaced(bet_id=bet_id, stake=Decimal(1), currency="EUR") for bet_id in ("kept", "lost")]
    settled = [BetSettled(bet_id=bet_id, payout=Decimal(1), currency="EUR") for bet_id in ("kept", "lost")]
    append(store, "alice", [*deposits(9), *bets, *settled])
    snapshots.archive.store("alice", {"kept": 12, "lost": 13})
    # Numbers that events of the lost history had, too.
    snapshots.archive.store("alice", {f"other-{number}": 12 for number in range(9)})
    make_anew(12)
    append(store, "alice", deposits(1))
    assert new_restore().look(segments=1).leftovers.archived_ids == 10
    archived = ["kept", "lost", *(f"other-{number}" for number in range(9))]
    assert len(snapshots.archive.find("alice", archived)) == 11, "a dry run changes nothing"
    assert new_restore().run(segments=1).leftovers.archived_ids == 10
    assert [each.used_id for each in snapshots.archive.find("alice", archived)] == ["kept"]


def test_a_history_with_a_hole_is_named_and_nothing_is_changed(
    clients: Clients,
    components: Components,
    handler: BatchHandler,
    store: EventStore,
    make_anew: MakeAnew,
    new_restore: MakeRestore,
) -> None:
    deliver(handler, components, *deposit(store, "alice", 6), *deposit(store, "bob", 2))
    make_anew(6)
    for number in (2, 4, 5):
        key = {"aggregateId": {"S": "alice"}, "sequenceNumber": {"N": str(number)}}
        clients.dynamodb.delete_item(TableName=components.names.events, Key=key)
    assert new_restore().look(segments=2).histories.holes == {"alice": [(2, 2), (4, 5)]}
    with pytest.raises(HolesError, match="aggregate alice: 2, 4 to 5") as refused:
        new_restore().run(segments=2)
    assert refused.value.exit_code == 4
    assert components.generations.read(BALANCE_SUMMARY.name).active == 1
    assert held_back(components)


def test_a_first_event_that_is_missing_is_a_hole(
    clients: Clients, components: Components, store: EventStore, new_restore: MakeRestore
) -> None:
    deposit(store, "alice", 2)
    key = {"aggregateId": {"S": "alice"}, "sequenceNumber": {"N": "1"}}
    clients.dynamodb.delete_item(TableName=components.names.events, Key=key)
    assert new_restore().look(segments=1).histories.holes == {"alice": [(1, 1)]}


def test_a_restore_that_was_killed_is_simply_run_again(
    components: Components,
    handler: BatchHandler,
    store: EventStore,
    make_anew: MakeAnew,
    new_restore: MakeRestore,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    deliver(handler, components, *deposit(store, "alice", 3))
    make_anew(1)

    class KilledError(Exception):
        pass

    def kill(*_: object) -> None:
        raise KilledError

    with monkeypatch.context() as patched:
        patched.setattr(TableIdentities, "restored", kill)
        killed = new_restore()
        with pytest.raises(KilledError):
            killed.run(segments=1)
    assert held_back(components), "nothing goes on before it is done"
    new_restore().run(segments=1)
    assert not held_back(components)
    components.models.refresh()
    assert verify(components) == ({}, {"agrees": 1})


def test_a_build_that_began_on_the_lost_table_is_given_up(
    components: Components, handler: BatchHandler, store: EventStore, make_anew: MakeAnew, new_restore: MakeRestore
) -> None:
    """Its cursors are of the lost table, and its rows of lost events."""
    deliver(handler, components, *deposit(store, "alice", 3))
    clients, names = components.clients, components.names
    ensure_table(clients.dynamodb, table_spec(DAILY_ACTIVITY, names.profile, 2))
    BuildStore(clients.dynamodb, names.projections).start(DAILY_ACTIVITY.name, 2, "dead", active=1, segments=1)
    make_anew(1)
    done = new_restore().run(segments=1)
    assert {each.projection: each.generation for each in done.rebuilt} == {"balance-summary": 2, "daily-activity": 3}
    components.models.refresh()
    assert verify(components, DAILY_ACTIVITY) == ({}, {"agrees": 1})


def test_an_account_that_a_record_has_halted_further_than_the_table_goes_is_halted_where_it_ends(
    components: Components, handler: BatchHandler, store: EventStore, make_anew: MakeAnew, new_restore: MakeRestore
) -> None:
    deliver(handler, components, *deposit(store, "alice", 3))
    modified = b'{"eventName":"MODIFY","tableName":"%s","dynamodb":{"Keys":{"aggregateId":{"S":"alice"},' % (
        components.names.events.encode()
    )
    deliver(handler, components, modified + b'"sequenceNumber":{"N":"1"}}}}')
    make_anew(2)
    new_restore().run(segments=1)
    components.models.refresh()
    head = components.models.active(BALANCE_SUMMARY).get("alice")
    assert head is not None
    assert (head.version, head.halted is not None) == (2, True)


def test_the_table_is_recorded_as_it_was_when_the_restore_began(
    components: Components,
    handler: BatchHandler,
    store: EventStore,
    make_anew: MakeAnew,
    another: MakeComponents,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    deliver(handler, components, *deposit(store, "alice", 2))
    identities = TableIdentities(components.clients.dynamodb, components.names)
    make_anew(1)
    # Longer than everything else takes.
    monkeypatch.setattr(restore, "NOTICED_BY_ALL", 30)
    reported = Reported()
    Restore(another(), lambda: None, reported).run(segments=1)
    assert any("every service has noticed the table" in line for line in reported.lines)
    identity = identities.find()
    assert identity is not None
    assert (identity.table_id, identity.restored_at is not None) == (identities.actual(), True)


@pytest.mark.parametrize("begin", [Restore.look, Restore.run], ids=["look", "run"])
def test_an_endpoint_that_does_not_answer_at_the_start_is_said_and_not_waited_for(
    begin: Callable[..., object], projector_settings: ProjectorSettings, executor: ThreadPoolExecutor
) -> None:
    nowhere = projector_settings.model_copy(update={"endpoint_url": "http://127.0.0.1:9"})
    components = build_components(nowhere, Clients(nowhere, attempts=1), executor)
    with pytest.raises(EndpointError):
        begin(Restore(components, lambda: None, Reported()), segments=1)
