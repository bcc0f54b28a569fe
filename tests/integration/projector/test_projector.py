"""The engine on real tables: what it costs, and what it does with events that it cannot apply."""

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from msgspec import structs

from betting.account import Account
from betting.events import BettingEvent
from betting.projections.balance_summary import BALANCE_SUMMARY, BalanceSummary
from betting.projections.daily_activity import DAILY_ACTIVITY
from ledger.errors import EndpointError
from ledger.runtime.aws import Clients
from ledger.store.event_store import EventStore
from ledger.store.tables import Names
from projector.components import Components
from projector.engine.projector import Projector
from projector.engine.read_model import ReadModel
from projector.metrics import Metrics
from projector.projection import Row
from tests.support.accounts import UNREADABLE, append, deposit, poison

pytestmark = pytest.mark.integration


@pytest.fixture
def figures(metrics: Metrics, summaries: ReadModel[BalanceSummary]) -> Callable[..., tuple[float, ...]]:
    """The counters of the summaries' table, by name."""

    def read(*names: str) -> tuple[float, ...]:
        labels = {"table": summaries.table}
        values = [metrics.registry.get_sample_value(f"kinfold_projector_{name}_total", labels) for name in names]
        return tuple(value for value in values if value is not None)

    return read


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def projector(store: EventStore, summaries: ReadModel[BalanceSummary], metrics: Metrics) -> Projector[BalanceSummary]:
    return Projector(store, summaries, metrics, skipped=nothing_skipped)


def nothing_skipped(account_id: str, sequence_number: int) -> bool:
    return False


def row_of(summaries: ReadModel[BalanceSummary], account_id: str) -> Row[BalanceSummary]:
    row = summaries.get(account_id)
    assert row is not None
    return row


def balance_of(summaries: ReadModel[BalanceSummary], account_id: str) -> Decimal:
    state = row_of(summaries, account_id).state
    assert state is not None
    return state.balance


def test_a_batch_is_one_write_an_account_and_a_steady_state_reads_nothing(
    store: EventStore, projector: Projector[BalanceSummary], summaries: ReadModel[BalanceSummary], calls: Counter[str]
) -> None:
    accounts = [deposit(store, count=3) for _ in range(30)]
    projector.apply([event for events in accounts for event in events[:2]])
    calls.clear()
    projector.apply([events[2] for events in accounts])
    assert calls == {"BatchExecuteStatement": 2}, "30 accounts: one call of 25 statements and one of 5"
    assert {balance_of(summaries, events[0].aggregate_id) for events in accounts} == {Decimal(3)}


def test_a_new_account_costs_one_write_and_no_read(
    store: EventStore, projector: Projector[BalanceSummary], summaries: ReadModel[BalanceSummary], calls: Counter[str]
) -> None:
    accounts = [deposit(store, count=2) for _ in range(25)]
    calls.clear()
    projector.apply([event for events in accounts for event in events])
    assert calls == {"BatchExecuteStatement": 1}
    assert {balance_of(summaries, events[0].aggregate_id) for events in accounts} == {Decimal(2)}


def test_an_account_that_only_looks_new_is_read_and_nothing_is_applied_twice(
    store: EventStore,
    projector: Projector[BalanceSummary],
    summaries: ReadModel[BalanceSummary],
    figures: Callable[..., tuple[float, ...]],
) -> None:
    events = deposit(store, count=5)
    Projector(store, summaries, Metrics(), skipped=nothing_skipped).apply(events[:3])
    projector.apply(events)
    assert balance_of(summaries, events[0].aggregate_id) == Decimal(5)
    assert figures("lost_conditions", "applied", "duplicates") == (1, 2, 3)


def test_an_account_whose_head_is_known_is_not_new_though_its_first_event_comes_again(
    components: Components, store: EventStore
) -> None:
    model, metrics = components.models.model(DAILY_ACTIVITY, 1), Metrics()
    events = deposit(store, count=4)
    Projector(store, model, Metrics(), skipped=nothing_skipped).apply(events[:2])
    projector = Projector(store, model, metrics, skipped=nothing_skipped)
    projector.apply([events[1]])  # known by now: the head, and no part
    projector.apply([events[0], *events[2:]])
    lost = metrics.registry.get_sample_value("kinfold_projector_lost_conditions_total", {"table": model.table})
    assert lost == 0, "a part that exists was taken for absent"
    (day,) = model.parts(events[0].aggregate_id, "2", "3", 10)
    assert (day.version, day.state and day.state.count) == (4, 4)


def test_a_known_duplicate_costs_no_call(
    store: EventStore,
    projector: Projector[BalanceSummary],
    calls: Counter[str],
    figures: Callable[..., tuple[float, ...]],
) -> None:
    events = deposit(store, count=3)
    projector.apply(events)
    calls.clear()
    projector.apply([events[1], events[1], events[2]])
    assert not calls
    assert figures("applied", "duplicates") == (3, 3)


def test_a_gap_is_read_from_the_event_store_in_one_query(
    store: EventStore,
    projector: Projector[BalanceSummary],
    summaries: ReadModel[BalanceSummary],
    calls: Counter[str],
    figures: Callable[..., tuple[float, ...]],
) -> None:
    events = deposit(store, count=20)
    projector.apply(events[:2])
    calls.clear()
    projector.apply([events[3], events[9], events[19]])
    assert calls == {"Query": 1, "BatchExecuteStatement": 1}
    assert row_of(summaries, events[0].aggregate_id).version == 20
    assert figures("applied", "gaps_repaired") == (20, 1)


def test_a_gap_is_read_once_for_all_read_models_and_anew_for_the_next_batch(
    components: Components, store: EventStore, clients: Clients, calls: Counter[str]
) -> None:
    good, *_, last = deposit(store, count=5)
    table = components.names.events

    def poisoned() -> set[int | None]:
        calls.clear()
        fed = components.projectors.fed()
        assert len(fed) == 2
        found = {each.sequence_number for projector in fed for each in projector.apply([last])}
        assert calls["Query"] == 1, "by both read models together"
        return found

    clients.dynamodb.put_item(TableName=table, Item=structs.replace(good, payload=UNREADABLE).to_item())
    assert poisoned() == {good.sequence_number}
    clients.dynamodb.put_item(TableName=table, Item=good.to_item())
    assert poisoned() == set()


def test_a_lost_condition_is_read_again_and_nothing_is_applied_twice(
    store: EventStore,
    projector: Projector[BalanceSummary],
    summaries: ReadModel[BalanceSummary],
    figures: Callable[..., tuple[float, ...]],
) -> None:
    events = deposit(store, count=5)
    projector.apply(events[:1])
    Projector(store, summaries, Metrics(), skipped=nothing_skipped).apply(events[:4])
    projector.apply(events[1:])
    assert balance_of(summaries, events[0].aggregate_id) == Decimal(5)
    assert figures("lost_conditions", "applied", "duplicates") == (1, 2, 3)


def test_a_cache_smaller_than_the_batch_only_costs_reads(
    store: EventStore, summaries: ReadModel[BalanceSummary], metrics: Metrics
) -> None:
    accounts = [deposit(store, count=2) for _ in range(5)]
    projector = Projector(store, summaries, metrics, skipped=nothing_skipped, cache_size=2)
    for index in (0, 1):
        projector.apply([events[index] for events in accounts])
    assert {row_of(summaries, events[0].aggregate_id).version for events in accounts} == {2}


def test_an_event_that_cannot_be_applied_holds_up_its_own_account_only(
    clients: Clients,
    ledger_tables: Names,
    store: EventStore,
    projector: Projector[BalanceSummary],
    summaries: ReadModel[BalanceSummary],
) -> None:
    good, bad = deposit(store, count=2), deposit(store, count=2)
    unreadable = poison(clients.dynamodb, ledger_tables.events, bad[-1])
    (found,) = projector.apply([unreadable, *bad, *good])
    assert (found.aggregate_id, found.sequence_number, found.event) == (unreadable.aggregate_id, 3, unreadable)
    assert "payload of FundsDeposited: amount" in found.reason
    assert '"ten"' not in found.reason
    assert row_of(summaries, good[0].aggregate_id).version == 2
    assert row_of(summaries, bad[0].aggregate_id).version == 2, "its own events up to the one before"


def test_an_event_that_the_store_does_not_hold_is_refused(
    store: EventStore, projector: Projector[BalanceSummary]
) -> None:
    events = deposit(store)
    phantom = structs.replace(events[0], sequence_number=3)
    (found,) = projector.apply([*events, phantom])
    assert (found.sequence_number, found.event) == (3, None)
    assert "the event store holds none from 2 on" in found.reason


@pytest.mark.parametrize("operation", ["BatchExecuteStatement", "BatchGetItem", "Query"])
def test_a_passing_fault_is_raised_as_transient_and_the_same_events_go_again(
    operation: str,
    clients: Clients,
    ledger_tables: Names,
    store: EventStore,
    executor: ThreadPoolExecutor,
    fail_next: Callable[[str, BaseException], None],
) -> None:
    table = BALANCE_SUMMARY.table(ledger_tables.profile, 1)
    summaries = ReadModel(clients.dynamodb, BALANCE_SUMMARY, table, executor, retry_seconds=0)
    projector = Projector(store, summaries, Metrics(), skipped=nothing_skipped)
    events = deposit(store, count=4)
    fail_next(operation, EndpointConnectionError(endpoint_url="http://example.invalid"))
    with pytest.raises(EndpointError):
        projector.apply([events[3]])
    projector.apply([events[3]])
    assert balance_of(summaries, events[0].aggregate_id) == Decimal(4)


def test_throttling_is_waited_for(
    store: EventStore,
    projector: Projector[BalanceSummary],
    summaries: ReadModel[BalanceSummary],
    fail_next: Callable[[str, BaseException], None],
) -> None:
    events = deposit(store, count=2)
    throttled = ClientError({"Error": {"Code": "ThrottlingException", "Message": ""}}, "BatchExecuteStatement")
    fail_next("BatchExecuteStatement", throttled)
    projector.apply(events)
    assert row_of(summaries, events[0].aggregate_id).version == 2


def test_the_account_and_its_summary_agree(
    store: EventStore, projector: Projector[BalanceSummary], summaries: ReadModel[BalanceSummary]
) -> None:
    account = Account("acc-agree")
    decisions: tuple[Callable[[], list[BettingEvent]], ...] = (
        lambda: account.deposit(Decimal("100.00"), "EUR"),
        lambda: account.place_bet("b1", Decimal("40.00"), "EUR"),
        lambda: account.settle_bet("b1", Decimal("90.50"), "EUR"),
        lambda: account.withdraw(Decimal("0.50"), "EUR"),
    )
    for decide in decisions:
        for event in decide():
            stored = append(store, "acc-agree", [event], account.version).events
            account.apply(event)
            projector.apply(stored)
    row = row_of(summaries, "acc-agree")
    assert row.state is not None
    assert (row.version, row.state.balance, row.state.staked, row.state.paid_out) == (
        4, Decimal("150.00"), Decimal("40.00"), Decimal("90.50"),
    )  # fmt: skip
