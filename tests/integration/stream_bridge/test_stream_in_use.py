"""A stream in use, on the endpoint: what its shards take, and changing it."""

from collections.abc import Callable

import pytest

from kinfold.tables import service_specs
from ledger.errors import ResourceError
from ledger.runtime.aws import Clients
from ledger.store.stored_event import StoredEvent
from ledger.store.tables import Names
from stream_bridge.backfill.publisher import Publisher
from stream_bridge.provisioning import bridge
from stream_bridge.provisioning import shard_usage as usage
from stream_bridge.provisioning.scaling import change_stream
from stream_bridge.provisioning.shard_usage import measure_use
from stream_bridge.provisioning.stream import StreamPlan, need_stream
from stream_bridge.waiter import StateWaiter
from tests.support.waiting import until

pytestmark = pytest.mark.integration


def test_the_use_of_each_shard_is_measured_and_a_hot_one_named(
    clients: Clients,
    stream: str,
    publisher: Publisher,
    append: Callable[..., list[StoredEvent]],
    ledger_tables: Names,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert [use.share for use in measure_use(clients.kinesis, stream, 10)] == [0, 0]
    publisher.put(append("alice", 200))
    use = until(
        lambda: measure_use(clients.kinesis, stream, 10), lambda use: sum(each.records_per_second for each in use) == 20
    )
    assert min(each.records_per_second for each in use) == 0, "an account's records are on one shard"
    busy = max(use, key=lambda each: each.share)
    assert 20 * 400 < busy.bytes_per_second < 20 * 900
    # As if a shard took 20 records a second.
    monkeypatch.setattr(usage, "SHARD_RECORDS", 20)
    report = bridge.status(clients, ledger_tables, service_specs(ledger_tables), sample=10)
    assert any(f"shard {busy.shard_id} is hot" in warning for warning in report.warnings)
    assert report.to_json()["use"]


def test_shards_retention_and_encryption_of_a_stream_are_changed_in_place(clients: Clients, stream: str) -> None:
    waiter = StateWaiter(60, print)
    # Powers of two: LocalStack merges neighbours in its list, not in the key space, and ends between other counts.
    plan = StreamPlan(shards=8, retention_hours=48, key="alias/aws/kinesis")
    assert len(change_stream(clients.kinesis, stream, plan, waiter)) == 3
    state = need_stream(clients.kinesis, stream)
    assert (state.shards, state.retention_hours, state.encryption) == (8, 48, "KMS")
    assert change_stream(clients.kinesis, stream, plan, waiter) == []
    back = StreamPlan(shards=2, retention_hours=24, key="none")
    change_stream(clients.kinesis, stream, back, waiter)
    state = need_stream(clients.kinesis, stream)
    assert (state.shards, state.retention_hours, state.encryption) == (2, 24, "NONE")


def test_a_stream_that_is_not_there_is_said(clients: Clients, names: Names) -> None:
    with pytest.raises(ResourceError, match="kinfold bridge ensure"):
        change_stream(clients.kinesis, names.stream, StreamPlan(2), StateWaiter(5, print))
