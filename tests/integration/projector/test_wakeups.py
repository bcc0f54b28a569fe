"""Who waits for an account is woken once its summary is there to be read."""

import asyncio
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from faust_kinesis.records import Record, RecordBatch
from ledger.domain.events import FundsDeposited
from ledger.store.event_store import EventStore
from projector.components import Components
from projector.engine.read_model import ReadModel
from projector.ingest.batch_handler import BatchHandler
from projector.projections.balance_summary import BalanceSummary
from tests.support.change_records import change_record

pytestmark = pytest.mark.integration


async def test_a_waiting_reader_is_woken_when_the_summary_can_be_read(
    components: Components, store: EventStore, summaries: ReadModel[BalanceSummary]
) -> None:
    handler = BatchHandler(components.projectors, components.account_halts, components.names.events, components.metrics)
    deposits = [FundsDeposited(amount=Decimal(1), currency="EUR")] * 3
    version = store.version("alice")
    events = store.append("alice", deposits, version, aggregate_type="account", correlation_id="test").events
    now = datetime.now(UTC)
    records = tuple(Record(change_record(event, components.names.events), "pk", "1", now) for event in events)

    async def read_once_woken(arrived: asyncio.Event) -> int:
        await asyncio.wait_for(arrived.wait(), 30)
        row = await asyncio.to_thread(summaries.get, "alice")
        return row.version if row else 0

    with handler.wakeups.of("alice") as arrived, handler.wakeups.of("bob") as other:
        reading = asyncio.create_task(read_once_woken(arrived))
        await handler.handle([RecordBatch("stream", "shard", records, 0)])
        assert await reading == 3
        assert not other.is_set()
