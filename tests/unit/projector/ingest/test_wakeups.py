"""A reader who waits for an account is woken by events of it, and by nothing else."""

import asyncio

from ledger.store.stored_event import StoredEvent
from projector.ingest.wakeups import Arrivals


def of(account_id: str) -> StoredEvent:
    return StoredEvent(account_id, 1, "account", "FundsDeposited", "{}", "2026-01-01T00:00:00+00:00", "c")


async def test_all_who_wait_for_the_account_are_woken_and_nobody_else() -> None:
    arrivals = Arrivals()
    with arrivals.of("alice") as first, arrivals.of("alice") as second, arrivals.of("bob") as other:
        arrivals.announce([of("carol"), of("alice"), of("alice")])
        assert (first.is_set(), second.is_set(), other.is_set()) == (True, True, False)


async def test_what_arrives_while_the_reader_looks_is_not_missed() -> None:
    arrivals = Arrivals()
    with arrivals.of("alice") as arrived:
        arrivals.announce([of("alice")])
        await asyncio.wait_for(arrived.wait(), 0.01)
        arrived.clear()
        arrivals.announce([of("alice")])
        await asyncio.wait_for(arrived.wait(), 0.01)


async def test_nobody_is_remembered_who_waits_no_more() -> None:
    arrivals = Arrivals()
    with arrivals.of("alice") as first:
        with arrivals.of("alice"):
            pass
        arrivals.announce([of("alice")])
        assert first.is_set()
    assert not arrivals._waiting
