from dataclasses import replace
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
from tests.support.waiting import eventually


def coordinator_of(table: Any, calls: CallPool, **options_too: Any) -> LeaseCoordinator:
    nothing: Any = None
    options = KinesisOptions(application="leases", worker_id="me", **options_too)
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


class PagedTable(RacedTable):
    """Another worker makes two leases while this one scans: one where it has looked already, and one where not yet."""

    def __init__(self, scans: int) -> None:
        super().__init__()
        self.torn, self.scans = scans, 0

    def scan(self) -> dict[str, Lease]:
        self.scans += 1
        if self.scans <= self.torn:
            parent, child = f"parent-{self.scans}", f"child-{self.scans}"
            page = dict(self.rows)
            self.rows |= {parent: Lease(parent, "TRIM_HORIZON", owner="other")}
            self.rows |= {child: Lease(child, "TRIM_HORIZON", parents=frozenset({parent}))}
            return {**page, child: self.rows[child]}
        return dict(self.rows)


@pytest.mark.parametrize("torn", [1, 3])
async def test_a_child_waits_for_a_parent_whose_lease_is_on_a_page_that_was_read_before(
    torn: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "list_shards", lambda *_: Topology({}, datetime.now(UTC)))
    calls = CallPool(1, "test")
    table = PagedTable(torn)
    leases = coordinator_of(table, calls)
    await leases.sync()
    assert await leases.take(()) == []
    assert leases.leases.keys() == table.rows.keys()
    calls.close()


async def test_a_child_whose_parent_is_history_costs_one_more_scan_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "list_shards", lambda *_: Topology({}, datetime.now(UTC)))
    calls = CallPool(1, "test")
    table = PagedTable(0)
    table.rows = {"child": Lease("child", "TRIM_HORIZON", parents=frozenset({"gone"}))}
    leases = coordinator_of(table, calls)
    for _ in range(3):
        await leases.sync()
    assert table.scans == 4
    assert [each.lease.key for each in await leases.take(())] == ["child"]
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


async def test_an_owner_that_renews_no_lease_is_shown_as_none() -> None:
    """A worker under KCL looks and takes nothing: nobody reads a dead one's shards until the leader gives them away."""
    table, calls = RacedTable(), CallPool(1, "test")
    table.rows = {"a": Lease("a", "1", owner="dead", counter=1), "b": Lease("b", "1", owner="living", counter=1)}
    leases = coordinator_of(table, calls, failover_time=0.3)
    await leases.look()
    assert [shard.owner for shard in leases.status()] == ["dead", "living"]

    async def seen() -> list[str | None]:
        table.rows["b"] = replace(table.rows["b"], counter=table.rows["b"].counter + 1)
        await leases.look()
        return [shard.owner for shard in leases.status()]

    async def is_seen() -> bool:
        return await seen() == [None, "living"]

    await eventually(is_seen)
    calls.close()
