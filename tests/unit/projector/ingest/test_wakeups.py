"""A reader who waits for an account is woken by events of it, and by nothing else."""

import asyncio
import gc
import weakref

from ledger.store.stored_event import StoredEvent
from projector.ingest.wakeups import Wakeups


def of(account_id: str) -> StoredEvent:
    return StoredEvent(account_id, 1, "account", "FundsDeposited", "{}", "2026-01-01T00:00:00+00:00", "c")


async def test_all_who_wait_for_the_account_are_woken_and_nobody_else() -> None:
    wakeups = Wakeups()
    with wakeups.of("alice") as first, wakeups.of("alice") as second, wakeups.of("bob") as other:
        wakeups.announce([of("carol"), of("alice"), of("alice")])
        assert (first.is_set(), second.is_set(), other.is_set()) == (True, True, False)


async def test_what_arrives_while_the_reader_looks_is_not_missed() -> None:
    wakeups = Wakeups()
    with wakeups.of("alice") as arrived:
        wakeups.announce([of("alice")])
        await asyncio.wait_for(arrived.wait(), 0.01)
        arrived.clear()
        wakeups.announce([of("alice")])
        await asyncio.wait_for(arrived.wait(), 0.01)


async def test_who_waits_no_more_is_forgotten_and_others_still_wait() -> None:
    wakeups = Wakeups()
    with wakeups.of("alice") as first:
        with wakeups.of("alice") as second:
            pass
        wakeups.announce([of("alice")])
        assert (first.is_set(), second.is_set()) == (True, False)
    held = weakref.ref(first)
    del first, second
    gc.collect()
    assert held() is None, "nothing is kept for an account that nobody waits for"
