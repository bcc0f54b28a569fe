"""An events table and a stream that nothing joins, so that only what a test puts is on the stream."""

import threading
from collections.abc import Callable
from functools import partial

import pytest

from kinfold.demo.raw_stream import read_raw
from ledger.runtime.aws import Clients
from ledger.store.change_record import decode
from ledger.store.event_store import EventStore
from ledger.store.stored_event import StoredEvent
from ledger.store.tables import Names
from stream_bridge.backfill.publisher import Publisher
from stream_bridge.provisioning.stream import StreamPlan, ensure_stream
from stream_bridge.waiter import StateWaiter
from tests.support.accounts import deposit


@pytest.fixture
def stop() -> threading.Event:
    return threading.Event()


@pytest.fixture
def stream(clients: Clients, ledger_tables: Names) -> str:
    """The profile's stream of two shards, without a destination."""
    ensure_stream(clients.kinesis, ledger_tables.stream, StreamPlan(2), StateWaiter(60, print))
    return ledger_tables.stream


@pytest.fixture
def publisher(clients: Clients, ledger_tables: Names, stream: str, stop: threading.Event) -> Publisher:
    return Publisher(clients.kinesis, stream, ledger_tables.events, "us-east-1", stop)


@pytest.fixture
def append(clients: Clients, ledger_tables: Names) -> Callable[..., list[StoredEvent]]:
    """Append ``count`` deposits of 1.00 to an account, at ``now``; gives them as they are stored."""
    return partial(deposit, EventStore(clients.dynamodb, ledger_tables.events))


@pytest.fixture
def on_stream(clients: Clients, ledger_tables: Names) -> Callable[[], list[StoredEvent]]:
    """Every event that the stream shows, as often as it does, an account's in the order of its shard."""

    def read() -> list[StoredEvent]:
        return [decode(data, ledger_tables.events) for _, data in read_raw(clients.kinesis, ledger_tables.stream)]

    return read
