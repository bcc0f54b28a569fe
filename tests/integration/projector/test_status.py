"""Status and gauges: what waits, for how long, and what somebody must act on."""

import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from botocore.exceptions import EndpointConnectionError

from betting.projections import PROJECTIONS
from faust_kinesis.leases.table import Lease, LeaseTable, lease_spec
from faust_kinesis.source import ShardStatus
from kinfold.demo.raw_stream import read_raw
from ledger.holds import Holds
from ledger.runtime.aws import Clients
from ledger.store.event_store import EventStore
from ledger.store.tables import Names, ensure_table
from projector.components import Components
from projector.dead_letters.letters import DeadLetter, Origin
from projector.rebuild.build_lease import BuildStore
from projector.status.gauges import Gauges
from projector.status.status import Status, read_status
from tests.support.accounts import deposit
from tests.support.aws.tables import made_bridge
from tests.support.waiting import until

pytestmark = pytest.mark.integration


@pytest.fixture
def streaming(clients: Clients, components: Components) -> None:
    """A stream of two shards, joined to the events table."""
    made_bridge(clients, components.names, 2)


@pytest.fixture
def leases(clients: Clients, names: Names, streaming: None) -> LeaseTable:
    """A lease table with no lease in it."""
    ensure_table(clients.dynamodb, lease_spec(names.leases))
    return LeaseTable(clients.dynamodb, names.leases)


def seen(components: Components, *, watch: float = 0.1, now: datetime | None = None) -> Status:
    return read_status(components, PROJECTIONS, mode="native", watch=watch, now=now)


def wait_for_records(clients: Clients, stream: str) -> None:
    """Wait until the destination has put something on the stream."""
    until(lambda: read_raw(clients.kinesis, stream))


def test_a_quiet_stream_without_workers_only_says_that_nobody_reads(components: Components, streaming: None) -> None:
    found = seen(components)
    assert (found.destination, found.retention_hours, found.open_dead_letters) == ("ACTIVE", 24, 0)
    assert [(each.name, each.active, each.building) for each in found.projections] == [
        ("balance-summary", 1, None),
        ("daily-activity", 1, None),
    ]
    assert [(shard.owner, shard.lag.arrived_at) for shard in found.shards] == [(None, None)] * 2
    assert found.errors == []
    assert all("read by nobody" in warning for warning in found.warnings)


@pytest.mark.parametrize(
    ("hours", "warned", "failed"), [(1, False, False), (13, True, False), (20, False, True), (30, False, True)]
)
def test_an_unread_record_is_a_warning_at_half_of_the_retention_and_an_error_at_four_fifths(
    hours: int,
    warned: bool,
    failed: bool,
    components: Components,
    store: EventStore,
    leases: LeaseTable,
    clients: Clients,
) -> None:
    for shard in clients.kinesis.list_shards(StreamName=components.names.stream)["Shards"]:
        leases.add(Lease(shard["ShardId"], "TRIM_HORIZON"))
    for lease in leases.scan().values():
        leases.take(lease, "worker-1")
    deposit(store, "alice")
    wait_for_records(clients, components.names.stream)
    found = seen(components, now=datetime.now(UTC) + timedelta(hours=hours))
    assert {shard.owner for shard in found.shards} == {"worker-1"}
    assert sum(shard.lag.arrived_at is not None for shard in found.shards) == 1
    assert any("has used" in warning for warning in found.warnings) is warned
    assert any("kinfold projector rebuild" in error for error in found.errors) is failed


def test_a_checkpoint_in_a_shard_that_is_gone_is_an_error(components: Components, leases: LeaseTable) -> None:
    leases.add(Lease("shardId-000000000099", "TRIM_HORIZON"))
    found = seen(components)
    assert any("shardId-000000000099" in error and "no longer in the stream" in error for error in found.errors)


def test_a_missing_destination_and_open_letters_are_named(components: Components, clients: Clients) -> None:
    clients.kinesis.create_stream(StreamName=components.names.stream, ShardCount=1)
    clients.kinesis.get_waiter("stream_exists").wait(StreamName=components.names.stream, WaiterConfig={"Delay": 1})
    for number in (1, 2):
        letter = DeadLetter("broken", Origin("stream", "shard", str(number)), b"", "balance-summary", "alice", number)
        components.letters.store(letter)
    found = seen(components)
    assert (found.open_dead_letters, found.halted_aggregates) == (2, 1)
    assert any("destination is missing" in error for error in found.errors)
    assert any("2 open dead letters, of 1 aggregates" in warning for warning in found.warnings)


def test_the_gauges_tell_the_same_and_survive_an_endpoint_that_fails(
    components: Components, clients: Clients, streaming: None, fail_next: object
) -> None:
    components.letters.store(DeadLetter("broken", Origin("s", "shard", "1"), b"", "balance-summary", "alice", 1))
    now = [0.0]
    gauges = Gauges(components, now=lambda: now[0])
    shard = ShardStatus("shard-1", "me", "1", 12 * 3_600_000, datetime.now(UTC), 0, ended=False)
    gauges.refresh([shard])

    def value(name: str, **labels: str) -> float | None:
        return components.metrics.registry.get_sample_value(f"kinfold_projector_{name}", labels)

    assert (value("open_dead_letters"), value("halted_aggregates")) == (1, 1)
    assert (
        value("active_generation", projection="daily-activity"),
        value("retention_used_ratio", shard="shard-1"),
    ) == (
        1,
        0.5,
    )
    now[0] = 61.0
    assert callable(fail_next)
    fail_next("Scan", EndpointConnectionError(endpoint_url="http://example.invalid"))
    gauges.refresh([shard])
    assert (value("gauge_failures_total"), value("open_dead_letters")) == (1, 1)
    gauges.refresh([shard])
    components.letters.store(DeadLetter("broken", Origin("s", "shard", "2"), b"", "balance-summary", "bob", 1))
    gauges.refresh([shard])
    assert (value("gauge_failures_total"), value("open_dead_letters")) == (1, 1)
    components.metrics.dead_letters.inc()
    gauges.refresh([shard])
    assert value("open_dead_letters") == 2, "a letter of this worker's own is told at once"
    gauges.refresh([replace(shard, millis_behind_latest=None)])
    assert value("retention_used_ratio", shard="shard-1") is None, "another worker reads it"


def test_the_gauges_tell_whether_the_process_of_a_rebuild_lives(components: Components, streaming: None) -> None:
    gauges, registry = Gauges(components), components.metrics.registry

    def told() -> list[float | None]:
        components.models.refresh()
        gauges.refresh([])
        names = ("building_generation", "build_beat")
        labels = {"projection": "daily-activity"}
        return [registry.get_sample_value(f"kinfold_projector_{name}", labels) for name in names]

    assert told() == [0, 0]
    builds = BuildStore(components.clients.dynamodb, components.names.projections)
    build = builds.start("daily-activity", 2, "me", active=1, segments=1)
    assert told() == [2, 0]
    build = builds.save(builds.save(build))
    assert told() == [2, 2]
    builds.give_up(build)
    assert told() == [0, 0]


def test_a_lease_that_its_owner_no_longer_renews_is_a_shard_without_a_reader(
    components: Components, leases: LeaseTable, clients: Clients
) -> None:
    for shard in clients.kinesis.list_shards(StreamName=components.names.stream)["Shards"]:
        leases.add(Lease(shard["ShardId"], "TRIM_HORIZON"))
    dead, living = (leases.take(lease, f"worker-{lease.key[-1]}") for lease in leases.scan().values())
    stop = threading.Event()

    def renew() -> None:
        held = living
        while not stop.wait(0.2):
            held = leases.renew(held)

    renewing = threading.Thread(target=renew)
    renewing.start()
    try:
        found = seen(components, watch=2)
    finally:
        stop.set()
        renewing.join()
    assert {(shard.shard_id, shard.owner, shard.alive) for shard in found.shards} == {
        (dead.key, dead.owner, False),
        (living.key, living.owner, True),
    }
    assert found.warnings == [
        f"shard {dead.key} is read by nobody; {dead.owner} has not renewed its lease for 2 s, so it was killed or "
        "hangs: start a projector"
    ]
    assert found.verdict == "not healthy: 1 warning"


def test_a_hold_is_shown_and_what_it_prevents_is_not_advised(
    components: Components, clients: Clients, streaming: None
) -> None:
    holds = Holds(clients.dynamodb, components.names.bridge)
    holds.set("eve@host", "moving to another key")
    assert any("held by eve@host" in warning for warning in seen(components).warnings)
    arn = clients.kinesis.describe_stream_summary(StreamName=components.names.stream)["StreamDescriptionSummary"]
    clients.dynamodb.disable_kinesis_streaming_destination(
        TableName=components.names.events, StreamArn=arn["StreamARN"]
    )
    found = seen(components)
    assert any("destination is DISABLED" in error for error in found.errors)
    assert not any("bridge ensure" in said for said in found.errors + found.warnings)
    assert (found.to_json()["hold"]["by"], found.to_json()["healthy"]) == ("eve@host", False)
    holds.lift()
    found = seen(components)
    assert found.to_json()["hold"] is None
    assert any("`kinfold bridge ensure` repairs it" in error for error in found.errors)


def test_where_a_relay_carries_no_destination_is_missed(components: Components, clients: Clients) -> None:
    made_bridge(clients, components.names, 1, "relay")
    found = read_status(components, PROJECTIONS, mode="relay", watch=0.1)
    assert found.errors == []
