"""What a relay that has just taken over puts again before the first event that it meets of an account."""

from datetime import UTC, datetime, timedelta

import pytest

from aws_client.call_pool import CallPool
from ledger.errors import TransientError
from ledger.runtime.aws import Clients
from ledger.store.event_store import EventStore
from ledger.store.tables import Names, ensure_table, store_specs
from stream_bridge.relay.lookback import CLOCKS, Lookback
from stream_bridge.relay.ordering import Missing
from tests.support.accounts import deposits

pytestmark = pytest.mark.integration

NOW = datetime(2026, 1, 1, tzinfo=UTC)
EARLY = NOW - CLOCKS - timedelta(seconds=1)


async def put_again(clients: Clients, names: Names, moments: list[datetime]) -> list[int]:
    """The numbers of the events that go before the last one, which happened at these moments by the writers' clocks."""
    ensure_table(clients.dynamodb, store_specs(names)[0])
    store = EventStore(clients.dynamodb, names.events)
    for version, moment in enumerate(moments):
        store.append("alice", deposits(), version, aggregate_type="account", correlation_id="c", now=moment)
    calls = CallPool(1, "test", transient=lambda error: isinstance(error, TransientError))
    try:
        found = await Lookback(store, calls).read("alice", Missing(None, len(moments) - 1), NOW)
    finally:
        calls.close()
    return [event.sequence_number for event in found]


@pytest.mark.parametrize(
    ("moments", "again"),
    [
        ([EARLY, EARLY, NOW], []),
        ([EARLY, NOW, NOW, NOW], [2, 3]),
        ([NOW - CLOCKS, NOW], [1]),
        # A clock that is far behind: what a later event needs before it is put, however early it claims to be.
        ([EARLY, NOW, EARLY, EARLY, NOW], [2, 3, 4]),
    ],
)
async def test_everything_from_the_first_event_that_may_not_have_been_put(
    clients: Clients, names: Names, moments: list[datetime], again: list[int]
) -> None:
    assert await put_again(clients, names, moments) == again
