from datetime import UTC, datetime
from typing import Any

import pytest

from aws_client.call_pool import CallPool
from faust_kinesis.leases import coordinator as module
from faust_kinesis.leases.checkpoint_tracker import SHARD_END
from faust_kinesis.leases.coordinator import LeaseCoordinator
from faust_kinesis.leases.table import Lease
from faust_kinesis.leases.topology import Shard, Topology
from faust_kinesis.options import KinesisOptions


def coordinator_of(table: Any, calls: CallPool) -> LeaseCoordinator:
    nothing: Any = None
    options = KinesisOptions(application="leases", worker_id="me")
    return LeaseCoordinator(
        "stream", options, kinesis=nothing, dynamodb=nothing, table=table, reads=calls, writes=calls
    )


class RacedTable:
    """Another worker makes the parent's lease, and takes it, after this one has looked."""

    name = "leases"

    def __init__(self) -> None:
        self.rows: dict[str, Lease] = {}

    def scan(self) -> dict[str, Lease]:
        return dict(self.rows)

    def add(self, lease: Lease) -> bool:
        self.rows.setdefault("parent", Lease("parent", "TRIM_HORIZON", owner="other", counter=1))
        if lease.key in self.rows:
            return False
        self.rows[lease.key] = lease
        return True

    def take(self, lease: Lease, owner: str) -> Lease:
        return lease


async def test_a_child_waits_for_a_parent_whose_lease_another_worker_has_made(monkeypatch: pytest.MonkeyPatch) -> None:
    shards = {"parent": Shard("parent", is_open=False), "child": Shard("child", frozenset({"parent"}))}
    monkeypatch.setattr(module, "list_shards", lambda *_: Topology(shards, datetime.now(UTC)))
    calls = CallPool(1, "test")
    leases = coordinator_of(RacedTable(), calls)

    await leases.sync()

    assert leases.leases.keys() == {"parent", "child"}
    assert await leases.take(()) == []
    calls.close()


class Table:
    name = "leases"

    def __init__(self, *rows: Lease) -> None:
        self.rows = {row.key: row for row in rows}

    def scan(self) -> dict[str, Lease]:
        return dict(self.rows)

    def add(self, lease: Lease) -> bool:
        return self.rows.setdefault(lease.key, lease) is lease

    def forget(self, lease: Lease) -> None:
        del self.rows[lease.key]


async def test_a_lease_is_forgotten_only_by_a_listing_that_is_younger_than_its_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    listed = {"old": Shard("old")}
    monkeypatch.setattr(module, "list_shards", lambda *_: Topology(dict(listed), datetime.now(UTC)))
    calls = CallPool(1, "test")
    table = Table(Lease("old", "1", owner="other"))
    leases = coordinator_of(table, calls)
    await leases.sync()

    # Another worker has listed a new shard, and has read it to its end.
    table.rows["new"] = Lease("new", SHARD_END)
    await leases.sync()
    await leases.sync()
    assert "new" in table.rows

    # It has left the stream: listed anew, it is gone.
    await leases.sync(list_anew=True)
    assert table.rows.keys() == {"old"}
    calls.close()
