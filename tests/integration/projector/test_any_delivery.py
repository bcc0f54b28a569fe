"""Whatever the stream does to the change records, every summary is the fold of a prefix, and in the end of all.

The stream is fed by hand: any shuffle, repetition and loss of the records of several accounts, cut into any batches
and raced through two projectors, on a real table and a real event store.
"""

import os
import threading
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from betting.events import BettingEvent
from betting.projections import PROJECTIONS
from ledger.runtime.aws import Clients
from ledger.store.change_record import decode
from ledger.store.event_store import EventStore, ProvenVersion
from ledger.store.stored_event import StoredEvent
from ledger.store.tables import Names
from projector.engine.projector import Projector
from projector.engine.provisioning import prepare
from projector.engine.read_model import ReadModel, RowChange, RowKey
from projector.metrics import Metrics
from projector.projection import HEAD, Projection, Row
from tests.support.accounts import append, change_record
from tests.support.histories import histories

pytestmark = pytest.mark.integration

#: As many of each kind in every run, fewer where an endpoint is slow.
DELIVERIES = int(os.environ.get("DELIVERIES", "40"))


@dataclass
class Delivery:
    """Histories by account, and the batches that each projector gets: lists of (account, index of its event)."""

    accounts: list[list[BettingEvent]]
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


class WatchedModel(ReadModel[Any]):
    """A read model that keeps every row which somebody tried to write."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.tried: list[Row[Any]] = []

    def write(self, changes: Sequence[RowChange[Any]]) -> set[RowKey]:
        self.tried += [change.row for change in changes]
        return super().write(changes)


@pytest.fixture(params=PROJECTIONS, ids=lambda projection: projection.name)
def run(
    request: pytest.FixtureRequest,
    make_clients: Callable[[], Clients],
    ledger_tables: Names,
    clients: Clients,
    executor: ThreadPoolExecutor,
) -> Callable[[Delivery], None]:
    projection: Projection[Any] = request.param
    prepare(clients.dynamodb, ledger_tables, [projection])
    store = EventStore(clients.dynamodb, ledger_tables.events)
    table = projection.table(ledger_tables.profile, 1)
    models = [WatchedModel(make_clients().dynamodb, projection, table, executor) for _ in range(2)]

    def _run(delivery: Delivery) -> None:
        for model in models:
            model.tried.clear()  # what an example that failed has left behind says nothing of this one
        stored = [_append(store, events) for events in delivery.accounts]
        _race(
            [
                (
                    Projector(store, model, Metrics(), skipped=lambda *_: False),
                    [[stored[account][index] for account, index in batch] for batch in batches],
                )
                for model, batches in zip(models, delivery.batches, strict=True)
            ],
            ledger_tables.events,
        )
        states = [_states(projection, events) for events in stored]
        allowed = [row for rows in states for row in rows]
        for model in models:
            assert all(row in allowed for row in model.tried), "a state that is no fold of a prefix"
        last = {(row.aggregate_id, row.part): row for row in allowed}
        assert models[0].get_many(last) == last

    return _run


def _append(store: EventStore, events: list[BettingEvent]) -> list[StoredEvent]:
    """Append one at a time, nine hours apart, so that an account's events fall on several days."""
    proof = ProvenVersion(f"acc-{uuid.uuid4().hex}", 0)
    stored: list[StoredEvent] = []
    for number, event in enumerate(events):
        now = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=9 * number)
        history = append(store, proof.aggregate_id, [event], proof, now=now)
        stored += history.events
        proof = history.version
    return stored


def _states(projection: Projection[Any], events: list[StoredEvent]) -> list[Row[Any]]:
    """Every row that the folds of this history's prefixes bring about, in order."""
    states: dict[str, Any] = {}
    rows: list[Row[Any]] = []
    for event in events:
        account_id, part, number = event.aggregate_id, projection.part_of(event), event.sequence_number
        states[part] = projection.after(states.get(part), event)
        rows.append(Row(account_id, part, number, states[part], event_hash=event.event_hash))
        if projection.part is not None:
            rows.append(Row(account_id, HEAD, number, None, event_hash=event.event_hash))
    return rows


def _race(sides: list[tuple[Projector[Any], list[list[StoredEvent]]]], events_table: str) -> None:
    start = threading.Barrier(len(sides))

    def project(projector: Projector[Any], batches: list[list[StoredEvent]]) -> None:
        start.wait()
        for batch in batches:
            decoded = [decode(change_record(event, events_table), events_table) for event in batch]
            assert projector.apply(decoded) == []

    with ThreadPoolExecutor(len(sides)) as racers:
        for racer in [racers.submit(project, *side) for side in sides]:
            racer.result()


@settings(max_examples=DELIVERIES, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(delivery=deliveries())
def test_every_summary_is_the_fold_of_a_prefix_and_in_the_end_of_all(
    run: Callable[[Delivery], None], delivery: Delivery
) -> None:
    run(delivery)
