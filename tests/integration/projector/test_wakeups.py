"""Who waits for an account is woken once its summary is there to be read."""

import asyncio

import pytest

from betting.projections.balance_summary import BalanceSummary
from ledger.store.event_store import EventStore
from projector.components import Components
from projector.engine.read_model import ReadModel
from projector.ingest.batch_handler import BatchHandler
from tests.support.accounts import batch, deposit

pytestmark = pytest.mark.integration


async def test_a_waiting_reader_is_woken_when_the_summary_can_be_read(
    components: Components, handler: BatchHandler, store: EventStore, summaries: ReadModel[BalanceSummary]
) -> None:
    delivered = batch(components.names.events, *deposit(store, "alice", 3))

    async def read_once_woken(arrived: asyncio.Event) -> int:
        await asyncio.wait_for(arrived.wait(), 30)
        row = await asyncio.to_thread(summaries.get, "alice")
        return row.version if row else 0

    with handler.wakeups.of("alice") as arrived, handler.wakeups.of("bob") as other:
        reading = asyncio.create_task(read_once_woken(arrived))
        await handler.handle([delivered])
        assert await reading == 3
        assert not other.is_set()
