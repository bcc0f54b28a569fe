"""What a worker tells of the shards that it reads, and of those that nobody does."""

from datetime import UTC, datetime, timedelta

from faust_kinesis.leases.table import Lease
from faust_kinesis.source import ShardStatus
from projector.metrics import Metrics


def shard(shard_id: str, owner: str | None = "me", *, read: bool = False, ended: bool = False) -> ShardStatus:
    polled = datetime.now(UTC) - timedelta(seconds=70) if read else None
    return ShardStatus(shard_id, owner, "1", 0 if read else None, polled, 0, ended, lease_counter=7)


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(f"kinfold_projector_{name}", labels)


def test_a_shard_whose_lease_nobody_keeps_is_read_by_nobody() -> None:
    metrics = Metrics()
    metrics.show([shard("1", read=True), shard("2", "another")])
    assert value(metrics, "unread_shards") == 0
    metrics.show([shard("1", read=True), shard("2", None), shard("3", None), shard("4", None, ended=True)])
    assert value(metrics, "unread_shards") == 2


def test_a_shard_waits_for_its_parents_and_is_not_missed_until_they_are_read() -> None:
    metrics = Metrics()
    child = Lease("child", "TRIM_HORIZON", parents=frozenset({"parent", "gone"})).status()
    metrics.show([shard("parent", "another"), child])
    assert value(metrics, "unread_shards") == 0
    metrics.show([shard("parent", "another", ended=True), child])
    assert value(metrics, "unread_shards") == 1


def test_what_is_told_of_a_shard_ends_when_another_worker_reads_it() -> None:
    metrics = Metrics()
    metrics.show([shard("1", read=True)])
    told = ("unpolled_seconds", "lease_counter", "millis_behind_latest")
    assert (value(metrics, told[0], shard="1") or 0) >= 70
    assert [value(metrics, name, shard="1") for name in told[1:]] == [7, 0]
    metrics.show([shard("1", "another")])
    assert [value(metrics, name, shard="1") for name in told] == [None] * 3
