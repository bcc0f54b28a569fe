"""Verify and repair: what was corrupted is found and told apart from lag; what is right is never called wrong."""

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import structs

from betting.projections import PROJECTIONS
from betting.projections.balance_summary import BALANCE_SUMMARY
from betting.projections.daily_activity import DAILY_ACTIVITY
from ledger.runtime.aws import Clients
from ledger.store.event_store import EventStore
from ledger.store.parallel_scan import Cursor, RetryUntilStopped
from ledger.store.stored_event import StoredEvent
from ledger.store.tables import Names
from projector.components import Components
from projector.engine.projector import Projector
from projector.engine.read_model import ReadModel
from projector.projection import HEAD, Projection
from projector.verification.repair import Repair
from projector.verification.verification import Finding, verification_of
from tests.integration.projector.conftest import MakeComponents
from tests.support.accounts import READABLE, append, deposit, deposits, poison
from tests.support.histories import histories

pytestmark = pytest.mark.integration


def project(components: Components, events: list[StoredEvent]) -> None:
    """Apply to every projection, as a worker does."""
    for projector in components.projectors.fed():
        assert projector.apply(events) == []


def verify(
    components: Components, projection: Projection[Any] = BALANCE_SUMMARY, *, repair: bool = False, wait: float = 0
) -> tuple[dict[str, Finding], Counter[Any]]:
    """Verify everything; gives the findings by account, and the tally."""
    findings: dict[str, Finding] = {}
    model = components.models.active(projection)
    feeder = components.feeder_of_all(projection, cache_size=100)
    verification = verification_of(
        components,
        model,
        RetryUntilStopped(threading.Event(), print),
        lambda finding: findings.update({finding.found.aggregate_id: finding}),
        repairer=Repair(components.clients.dynamodb, model, feeder) if repair else None,
        wait=wait,
    )
    verification.everything((Cursor(),) * 2, lambda *_: None)
    verification.extra_rows(2, lambda _segment, _cursor: None)
    return findings, verification.tally


def kinds(findings: dict[str, Finding]) -> dict[str, str]:
    return {account_id: finding.found.kind for account_id, finding in findings.items()}


def corrupt(components: Components, model: ReadModel[Any], account_id: str, part: str = HEAD, **values: Any) -> None:
    """Overwrite attributes of a row by hand; None removes one."""
    key = model.key(account_id, part)
    item: dict[str, Any] = dict(components.clients.dynamodb.get_item(TableName=model.table, Key=key)["Item"])
    item |= values
    kept = {name: value for name, value in item.items() if value is not None}
    components.clients.dynamodb.put_item(TableName=model.table, Item=kept)


def delete(components: Components, model: ReadModel[Any], account_id: str, part: str = HEAD) -> None:
    components.clients.dynamodb.delete_item(TableName=model.table, Key=model.key(account_id, part))


@pytest.fixture
def activity(components: Components) -> ReadModel[Any]:
    return components.models.model(DAILY_ACTIVITY, 1)


def test_each_outcome_is_told_apart_and_repair_mends_what_it_may(
    components: Components, store: EventStore, summaries: ReadModel[Any]
) -> None:
    for account_id in ("right", "corrupt", "ahead", "unreadable", "deleted"):
        project(components, deposit(store, account_id, 3))
    project(components, deposit(store, "behind", 3))
    deposit(store, "behind", 2)
    corrupt(components, summaries, "corrupt", balance={"S": "1000000.00"})
    corrupt(components, summaries, "ahead", version={"N": "9"})
    corrupt(components, summaries, "unreadable", balance={"S": "a lot"}, staked=None)
    delete(components, summaries, "deleted")
    ghost = {**summaries.key("ghost"), "version": {"N": "4"}}
    components.clients.dynamodb.put_item(TableName=summaries.table, Item=ghost)

    findings, tally = verify(components)
    assert kinds(findings) == {
        "corrupt": "wrong", "ahead": "wrong", "unreadable": "wrong",
        "deleted": "missing", "behind": "behind", "ghost": "extra",
    }  # fmt: skip
    assert findings["behind"].found.behind == 2
    assert findings["deleted"].found.behind == 3
    assert findings["corrupt"].found.reason == "balance is 1000000.00, should be 3.00"
    assert tally == {"agrees": 1, "wrong": 3, "missing": 1, "behind": 1, "extra": 1}

    findings, tally = verify(components, repair=True)
    assert {account_id: finding.now.kind for account_id, finding in findings.items()} == dict.fromkeys(
        kinds(findings), "agrees"
    )
    assert tally == {"agrees": 7}
    findings, tally = verify(components)
    assert (findings, tally) == ({}, {"agrees": 6})
    project(components, deposit(store, "corrupt", 1))
    assert verify(components)[0] == {}, "a worker goes on from the repaired row"


def test_a_worker_that_cached_the_wrong_row_cannot_bring_it_back(
    components: Components, store: EventStore, summaries: ReadModel[Any]
) -> None:
    project(components, deposit(store, "alice", 2))
    corrupt(components, summaries, "alice", balance={"S": "500.00"})
    worker = Projector(store, summaries, components.metrics, skipped=components.skips.of(BALANCE_SUMMARY.name))
    worker.apply(deposit(store, "alice", 1))
    row = summaries.get("alice")
    assert row is not None
    assert row.state is not None
    assert row.state.balance == Decimal(501), "the worker folded on from the wrong row, and has it in its cache"
    assert kinds(verify(components, repair=True)[0]) == {"alice": "wrong"}
    worker.apply(deposit(store, "alice", 1))
    row = summaries.get("alice")
    assert row is not None
    assert row.state is not None
    assert (row.version, row.state.balance) == (4, Decimal(4))


def test_parts_are_compared_each_at_its_own_version(
    components: Components, store: EventStore, activity: ReadModel[Any]
) -> None:
    days, events = {}, list[StoredEvent]()
    for account_id in ("right", "wrong", "missing", "extra", "crashed"):
        events = deposit(store, account_id, 2)
        days[account_id] = events[0].occurred_at[:10]
        project(components, events)
    corrupt(components, activity, "wrong", days["wrong"], deposited={"S": "7.00"})
    delete(components, activity, "missing", days["missing"])
    bogus = {**activity.key("extra", "1999-12-31"), "version": {"N": "1"}}
    components.clients.dynamodb.put_item(TableName=activity.table, Item=bogus)
    # A worker that was killed between a part and its head leaves the part ahead: late, and right.
    corrupt(components, activity, "crashed", version={"N": "1"}, eventHash={"S": events[0].event_hash})

    findings, _ = verify(components, DAILY_ACTIVITY)
    assert kinds(findings) == {"wrong": "wrong", "missing": "wrong", "extra": "wrong", "crashed": "behind"}
    assert findings["wrong"].found.reason == f"day {days['wrong']}: deposited is 7.00, should be 2.00"
    verify(components, DAILY_ACTIVITY, repair=True)
    assert verify(components, DAILY_ACTIVITY)[0] == {}


def test_a_halted_account_is_compared_at_its_version_and_stays_halted(
    clients: Clients, ledger_tables: Names, components: Components, store: EventStore, summaries: ReadModel[Any]
) -> None:
    events = deposit(store, "mallory", 2)
    bad = poison(clients.dynamodb, ledger_tables.events, events[-1])
    components.feeder(summaries, cache_size=10).feed([*events, bad])
    findings, _ = verify(components, repair=True)
    found = findings["mallory"].found
    assert (found.kind, found.version, found.behind, findings["mallory"].done) == ("halted", 2, 1, "")
    assert "event 3: payload of FundsDeposited" in found.reason

    corrupt(components, summaries, "mallory", balance={"S": "9.00"})
    findings, _ = verify(components, repair=True)
    finding = findings["mallory"]
    assert (finding.found.kind, finding.done, finding.now.kind) == ("wrong", "rewritten", "halted")
    components.redrive.skip("balance-summary~mallory~3", components.projectors.fed, by="test", why="test")
    assert verify(components)[0] == {}, "a skipped event is passed by in the refold too"


def test_a_row_is_not_called_wrong_for_what_is_skipped_while_it_is_checked(
    clients: Clients,
    ledger_tables: Names,
    components: Components,
    store: EventStore,
    summaries: ReadModel[Any],
    another: MakeComponents,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The skip comes when the check has just read all skips, for the second time, as the row looked wrong."""
    events = deposit(store, "mallory", 2)
    bad = poison(clients.dynamodb, ledger_tables.events, events[-1])
    components.feeder(summaries, cache_size=10).feed([*events, bad])
    clients.dynamodb.put_item(TableName=ledger_tables.events, Item=structs.replace(bad, payload=READABLE).to_item())
    corrupt(components, summaries, "mallory", balance={"S": "9.00"})
    operator = another()
    load = components.skips.load

    def loading() -> None:
        load()
        operator.redrive.skip("balance-summary~mallory~3", operator.new_projectors, by="me", why="ticket 4711")

    monkeypatch.setattr(components.skips, "load", loading)
    findings, _ = verify(components, repair=True)
    assert findings["mallory"].done == "somebody else wrote to it meanwhile"
    assert verify(operator, repair=True)[0]["mallory"].done == "rewritten"
    row = summaries.get("mallory")
    assert row is not None
    assert row.state is not None
    assert (row.version, row.state.balance) == (3, Decimal(2))


def test_what_the_event_store_itself_cannot_tell_is_named_and_not_repaired(
    clients: Clients, ledger_tables: Names, components: Components, store: EventStore
) -> None:
    project(components, deposit(store, "alice", 5))
    key = {"aggregateId": {"S": "alice"}, "sequenceNumber": {"N": "3"}}
    clients.dynamodb.delete_item(TableName=ledger_tables.events, Key=key)
    findings, tally = verify(components, repair=True)
    assert tally == {"unreadable": 1}
    assert "after version 2" in findings["alice"].found.reason
    assert findings["alice"].done == ""


def test_a_sample_checks_about_as_many_accounts_as_asked(
    components: Components, store: EventStore, summaries: ReadModel[Any]
) -> None:
    for number in range(40):
        project(components, deposit(store, f"acc-{number}", 4))
    findings: list[Finding] = []
    sampled = verification_of(
        components, summaries, RetryUntilStopped(threading.Event(), print), findings.append, wait=0
    )
    sampled.sample(10)
    assert (sampled.tally, findings) == ({"agrees": 10}, [])


def test_an_account_that_moves_between_the_two_reads_is_not_called_wrong(
    components: Components, store: EventStore, clients: Clients
) -> None:
    project(components, deposit(store, "alice", 1))
    moving = threading.local()

    def move(**_: object) -> None:
        if not getattr(moving, "now", False):
            moving.now = True
            project(components, deposit(store, "alice", 1))
            moving.now = False

    # Whatever is read second, the account has moved since the first.
    for operation in ("GetItem", "Query"):
        clients.dynamodb.meta.events.register(f"before-call.dynamodb.{operation}", move)
    for projection in PROJECTIONS:
        assert verify(components, projection)[1].keys() <= {"agrees", "behind"}


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(accounts=st.lists(histories(max_size=10), min_size=1, max_size=4))
def test_nothing_is_called_wrong_while_a_worker_folds_concurrent_appends(
    accounts: list[Any], components: Components, store: EventStore, executor: ThreadPoolExecutor
) -> None:
    ids = [f"acc-{id(accounts)}-{index}" for index in range(len(accounts))]
    appended = threading.Event()

    def write() -> None:
        try:
            for account_id, events in zip(ids, accounts, strict=True):
                version = store.version(account_id)
                for event in events:
                    history = append(store, account_id, [event], version)
                    version = history.version
                    project(components, history.events)
        finally:
            appended.set()

    writing = threading.Thread(target=write)
    writing.start()
    seen: Counter[str] = Counter()
    try:
        while not appended.is_set():
            for projection in PROJECTIONS:
                seen += verify(components, projection)[1]
    finally:
        writing.join()
    assert seen.keys() <= {"agrees", "behind", "missing"}
    for projection in PROJECTIONS:
        findings, tally = verify(components, projection, wait=5)
        assert findings == {}
        assert tally.keys() <= {"agrees"}


@pytest.mark.parametrize("projection", PROJECTIONS, ids=lambda projection: projection.name)
def test_a_row_of_events_that_a_restore_has_lost_is_wrong_though_its_numbers_agree(
    clients: Clients, components: Components, store: EventStore, ledger_tables: Names, projection: Projection[Any]
) -> None:
    """Alice has two deposits of 1.00 and is folded; both are lost, and two others of 1.00 stored since."""
    now = datetime.now(UTC)
    lost = deposit(store, "alice", 2, now=now)
    project(components, lost)
    for event in lost:
        key = {name: value for name, value in event.to_item().items() if name in {"aggregateId", "sequenceNumber"}}
        clients.dynamodb.delete_item(TableName=ledger_tables.events, Key=key)
    append(store, "alice", deposits(2), correlation_id="another", now=now)
    assert kinds(verify(components, projection, repair=True)[0]) == {"alice": "wrong"}
    assert verify(components, projection)[0] == {}


@pytest.mark.parametrize("projection", PROJECTIONS, ids=lambda projection: projection.name)
def test_a_row_that_was_stored_without_a_hash_is_right_and_gains_one(
    components: Components, store: EventStore, projection: Projection[Any]
) -> None:
    project(components, deposit(store, "alice", 2))
    model = components.models.active(projection)
    rows = components.clients.dynamodb.scan(TableName=model.table)["Items"]
    for row in rows:
        old = {name: value for name, value in row.items() if name != "eventHash"}
        components.clients.dynamodb.put_item(TableName=model.table, Item=old)
    assert verify(components, projection)[0] == {}
    [event] = deposit(store, "alice", 1)
    project(components, [event])
    after = components.clients.dynamodb.scan(TableName=model.table)["Items"]
    assert [model.row(row).event_hash for row in after] == [event.event_hash] * len(rows)
