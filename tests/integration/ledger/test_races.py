"""Many writers on one aggregate: what they were told was stored is stored, once, and nothing else."""

import os
import random
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from decimal import Decimal
from threading import Barrier

import pytest

from betting.events import FundsDeposited
from ledger.runtime.aws import Clients
from ledger.store.errors import VersionConflictError
from ledger.store.event_store import EventStore, ProvenVersion
from ledger.store.tables import Names
from tests.support.accounts import append, rising_deposits

pytestmark = pytest.mark.integration

WRITERS = 8
#: Of each writer; more by hand, enough in every run for them to meet hundreds of times.
ATTEMPTS = int(os.environ.get("RACE_ATTEMPTS", "50"))


@pytest.fixture
def stores(make_clients: Callable[[], Clients], ledger_tables: Names) -> list[EventStore]:
    """One for each writer, on clients of its own: they share nothing but the table."""
    return [EventStore(make_clients().dynamodb, ledger_tables.events) for _ in range(WRITERS)]


@dataclass(frozen=True)
class Attempt:
    """One append: its correlation id names it, its events hold 1, 2, 3 ... units of money."""

    correlation_id: str
    events: int
    stored_from: int | None


def race(
    stores: list[EventStore], attempts: int, size: Callable[[random.Random], int], claim: Callable[[random.Random], int]
) -> list[Attempt]:
    """Every writer makes its attempts, each on the version it has just read (shifted by ``claim``, unproven if so)."""
    start = Barrier(len(stores))

    def write(writer: int) -> Iterator[Attempt]:
        store, chance = stores[writer], random.Random(writer)
        start.wait()
        for attempt in range(attempts):
            name, count, shift = f"w{writer}-{attempt}", size(chance), claim(chance)
            version = store.version("alice")
            expected: ProvenVersion | int = max(0, version.number + shift) if shift else version
            try:
                stored = append(store, "alice", rising_deposits(count), expected, correlation_id=name).events
            except VersionConflictError:
                yield Attempt(name, count, None)
            else:
                yield Attempt(name, count, stored[0].sequence_number)

    with ThreadPoolExecutor(len(stores)) as pool:
        return [
            attempt for made in pool.map(lambda writer: list(write(writer)), range(len(stores))) for attempt in made
        ]


def check(store: EventStore, attempts: list[Attempt]) -> None:
    stored = store.load("alice").events
    expected = {
        attempt.stored_from + n: (attempt.correlation_id, Decimal(n + 1))
        for attempt in attempts
        if attempt.stored_from is not None
        for n in range(attempt.events)
    }
    found = {event.sequence_number: (event.correlation_id, money(event.payload)) for event in stored}
    assert list(found) == list(range(1, len(stored) + 1))
    assert len(expected) == sum(attempt.events for attempt in attempts if attempt.stored_from is not None)
    assert found == expected


def money(payload: str) -> Decimal:
    return FundsDeposited.model_validate_json(payload).amount


def test_racing_writers_leave_exactly_what_succeeded(stores: list[EventStore]) -> None:
    attempts = race(stores, ATTEMPTS, size=lambda _: 1, claim=lambda _: 0)
    refused = sum(attempt.stored_from is None for attempt in attempts)
    assert len(attempts) == WRITERS * ATTEMPTS
    assert refused, "the writers never met: this run proves nothing"
    check(stores[0], attempts)


def test_racing_appends_of_any_size_at_any_claimed_version_leave_no_hole(stores: list[EventStore]) -> None:
    attempts = race(
        stores[:4],
        40,
        size=lambda chance: chance.choice((1, 1, 2, 3, 7)),
        claim=lambda chance: chance.choice((0, 0, 0, -1, 1, 2)),
    )
    assert any(attempt.stored_from is None for attempt in attempts)
    check(stores[0], attempts)
