"""A state that no row can hold halts its own aggregate, at the event that made it so, and nothing else."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import pytest

from betting.account_type import ACCOUNT
from betting.events import BettingEvent
from betting.projections import PROJECTIONS
from betting.projections.balance_summary import BALANCE_SUMMARY
from ledger.runtime.aws import Clients
from ledger.store.stored_event import StoredEvent
from ledger.store.tables import Names
from projector.columns import Columns
from projector.components import Components, build_components
from projector.engine.provisioning import prepare
from projector.ingest.batch_handler import BatchHandler
from projector.projection import Projection
from projector.rebuild import generations, rebuild
from projector.rebuild.rebuild import Rebuild
from projector.settings import ProjectorSettings
from projector.verification.aggregate_check import Checker
from tests.integration.projector.conftest import deliver
from tests.integration.projector.rebuild.test_rebuild import Reported
from tests.support.accounts import deposit

pytestmark = pytest.mark.integration

#: Alice's events, and the one after which no row can hold the state.
EVENTS, FIRST_TOO_MUCH = 5, 3


@dataclass(frozen=True, slots=True)
class Heap:
    """Grows with each event: the number beyond 38 digits, or the texts beyond 400 KB."""

    number: int
    texts: tuple[str, ...]


def numbers(heap: Heap | None, _: BettingEvent, __: StoredEvent) -> Heap:
    return Heap((heap.number if heap else 1) * 10**16, ())


def texts(heap: Heap | None, _: BettingEvent, __: StoredEvent) -> Heap:
    return Heap(0, (*(heap.texts if heap else ()), "x" * 150_000))


def heaps(fold: Callable[..., Heap], *, parts: bool) -> Projection[Heap]:
    whole = Projection("heaps", "heaps", (ACCOUNT,), Columns(Heap), fold)
    return replace(whole, part_name="heap", part=lambda _, __: "heap", parse_part=str) if parts else whole


@pytest.fixture(params=[(numbers, False), (numbers, True), (texts, False), (texts, True)])
def projection(request: pytest.FixtureRequest) -> Projection[Heap]:
    fold, parts = request.param
    return heaps(fold, parts=parts)


@pytest.fixture
def components(
    projector_settings: ProjectorSettings,
    clients: Clients,
    ledger_tables: Names,
    executor: ThreadPoolExecutor,
    projection: Projection[Heap],
) -> Components:
    projections = (*PROJECTIONS, projection)
    prepare(clients.dynamodb, ledger_tables, projections)
    return build_components(projector_settings, clients, executor, projections)


def check(components: Components, projection: Projection[Any], generation: int) -> None:
    """Alice is as far as her rows can hold, and halted there; Bob is where he should be; and verify says so."""
    model = components.models.model(projection, generation)
    alice, bob = model.get("alice"), model.get("bob")
    assert alice is not None
    assert bob is not None
    assert (alice.version, bob.version, bob.halted) == (FIRST_TOO_MUCH - 1, 1, None)
    assert alice.halted is not None
    assert alice.halted.sequence_number == FIRST_TOO_MUCH
    assert "38 digits" in alice.halted.reason or "400000 bytes" in alice.halted.reason
    components.skips.load()
    checker = Checker(components.clients.dynamodb, components.store, model, components.skips)
    assert [checker.check(name).kind for name in ("alice", "bob")] == ["halted", "agrees"]


def test_it_halts_its_own_aggregate_in_its_own_read_model(
    components: Components, handler: BatchHandler, projection: Projection[Heap], monkeypatch: pytest.MonkeyPatch
) -> None:
    alice = deposit(components.store, "alice", EVENTS)
    bob = deposit(components.store, "bob")
    deliver(handler, components, *alice, *bob)
    check(components, projection, 1)
    summary = components.models.active(BALANCE_SUMMARY).get("alice")
    assert summary is not None
    assert (summary.version, summary.halted) == (EVENTS, None)
    for module in (rebuild, generations):
        monkeypatch.setattr(module, "SEEN_BY_ALL", 0.05)
    (rebuilt,) = Rebuild(components, Reported()).run([projection], segments=2)
    assert (rebuilt.generation, rebuilt.aggregates, rebuilt.halted) == (2, 2, 1)
    check(components, projection, 2)
