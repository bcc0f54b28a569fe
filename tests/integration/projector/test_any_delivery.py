"""Whatever the stream does to the change records, every summary is the fold of a prefix, and in the end of all.

The stream is fed by hand: any shuffle, repetition and loss of the records of several accounts, cut into any batches
and raced through two projectors, on a real table and a real event store.
"""

import threading
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger.aws import Clients
from ledger.event_store import EventStore
from ledger.events import DomainEvent
from ledger.stored_event import StoredEvent
from ledger.tables import Names
from projector.change_record import decode
from projector.metrics import Metrics
from projector.projections.balance_summary import COLUMNS, BalanceSummary, evolve, to_values
from projector.projector import Projector
from projector.read_model import SummaryTable
from tests.change_records import change_record
from tests.histories import histories

pytestmark = pytest.mark.integration


@dataclass
class Delivery:
    """Histories by account, and the batches that each projector gets: lists of (account, index of its event)."""

    accounts: list[list[DomainEvent]]
    batches: tuple[list[list[tuple[int, int]]], list[list[tuple[int, int]]]]


@st.composite
def deliveries(draw: st.DrawFn) -> Delivery:
    """Any subset, order and repetition of all events, in any batches; each account's last event comes at the end."""
    accounts = draw(st.lists(histories(max_size=8), min_size=1, max_size=3))
    every = [(account, index) for account, events in enumerate(accounts) for index in range(len(events))]
    shown = draw(st.lists(st.sampled_from(every), max_size=2 * len(every)))
    last = draw(st.permutations([(account, len(events) - 1) for account, events in enumerate(accounts)]))
    shards: tuple[list[Any], list[Any]] = ([], [])
    for end in (shown, last):
        for shard, batch in draw(_cut(end)):
            shards[shard].append(batch)
    return Delivery(accounts, shards)


@st.composite
def _cut(draw: st.DrawFn, records: Sequence[tuple[int, int]]) -> list[tuple[int, list[tuple[int, int]]]]:
    """Cut into batches, each of them sent to one projector or the other."""
    left, batches = list(records), []
    while left:
        size = draw(st.integers(1, len(left)))
        batches.append((draw(st.integers(0, 1)), left[:size]))
        left = left[size:]
    return batches


@dataclass
class Writes:
    """Every state that a projector tried to write, taken from the requests themselves."""

    seen: list[tuple[str, list[Any]]] = field(default_factory=list)

    def watch(self, clients: Clients) -> None:
        clients.dynamodb.meta.events.register("provide-client-params.dynamodb.BatchExecuteStatement", self._note)

    def _note(self, params: dict[str, Any], **_: object) -> None:
        for statement in params["Statements"]:
            values = list(statement["Parameters"])
            insert = statement["Statement"].startswith("INSERT")
            key, row = (values[0], values[1:]) if insert else (values[len(COLUMNS)], values[: len(COLUMNS)])
            self.seen.append((key["S"], row))


@pytest.fixture
def run(
    make_clients: Callable[[], Clients], ledger_tables: Names, executor: ThreadPoolExecutor
) -> Callable[[Delivery], None]:
    sides = (make_clients(), make_clients())
    writes = Writes()
    for side in sides:
        writes.watch(side)
    store = EventStore(sides[0].dynamodb, ledger_tables.events)
    table = ledger_tables.balance_summary()

    def _run(delivery: Delivery) -> None:
        writes.seen.clear()
        stored = [_append(store, events) for events in delivery.accounts]
        _race(
            [
                (
                    Projector(
                        EventStore(side.dynamodb, ledger_tables.events),
                        SummaryTable(side.dynamodb, table, executor),
                        Metrics(),
                    ),
                    [[stored[account][index] for account, index in batch] for batch in batches],
                )
                for side, batches in zip(sides, delivery.batches, strict=True)
            ],
            ledger_tables.events,
        )
        prefixes = {events[0].aggregate_id: _prefixes(events) for events in stored}
        for account_id, row in writes.seen:
            assert row in [to_values(prefix) for prefix in prefixes[account_id]], "a state that is no fold of a prefix"
        summaries = SummaryTable(sides[0].dynamodb, table, executor).get_many(prefixes)
        assert summaries == {account_id: folds[-1] for account_id, folds in prefixes.items()}

    return _run


def _append(store: EventStore, events: list[DomainEvent]) -> list[StoredEvent]:
    account_id = f"acc-{uuid.uuid4().hex}"
    return store.append(account_id, events, 0, aggregate_type="account", correlation_id="test").events


def _prefixes(events: list[StoredEvent]) -> list[BalanceSummary]:
    folds: list[BalanceSummary] = []
    for event in events:
        folds.append(evolve(folds[-1] if folds else None, event))
    return folds


def _race(sides: list[tuple[Projector, list[list[StoredEvent]]]], events_table: str) -> None:
    start = threading.Barrier(len(sides))

    def project(projector: Projector, batches: list[list[StoredEvent]]) -> None:
        start.wait()
        for batch in batches:
            projector.apply([decode(change_record(event, events_table), events_table) for event in batch])

    with ThreadPoolExecutor(len(sides)) as racers:
        for racer in [racers.submit(project, *side) for side in sides]:
            racer.result()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(delivery=deliveries())
def test_every_summary_is_the_fold_of_a_prefix_and_in_the_end_of_all(
    run: Callable[[Delivery], None], delivery: Delivery
) -> None:
    run(delivery)
