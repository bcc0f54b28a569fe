"""A stopping worker's leases, on real tables: none is left in the name of one that has gone."""

import asyncio
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from aws_client.call_pool import CallPool
from faust_kinesis.kcl.coordination.lease_handoff import LeaseHandOff
from faust_kinesis.kcl.coordination.tables import CoordinationTables, LeaderLock, kcl_specs
from faust_kinesis.leases.table import TRIM_HORIZON, Lease, LeaseTable
from faust_kinesis.options import KinesisOptions
from ledger.store.tables import ensure_table

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

pytestmark = pytest.mark.integration


class Workers:
    """The tables of an application, and what its workers wrote there."""

    def __init__(self, dynamodb: "DynamoDBClient", application: str) -> None:
        self.table = LeaseTable(dynamodb, application)
        self.coordination = CoordinationTables(dynamodb, application)
        self.calls = CallPool(4, "test")
        self._dynamodb, self._application = dynamodb, application
        for spec in kcl_specs(application):
            ensure_table(dynamodb, spec)

    def report(self, worker: str, *, seconds_ago: float = 0) -> None:
        row = {"wid": {"S": worker}, "lut": {"N": str(int(time.time() - seconds_ago))}}
        self._dynamodb.put_item(TableName=self.coordination.workers, Item=row)

    def lead(self, worker: str, version: str = "1") -> None:
        row = {"key": {"S": "Leader"}, "ownerName": {"S": worker}, "recordVersionNumber": {"S": version}}
        self._dynamodb.put_item(TableName=self.coordination.coordinator, Item=row)

    def lease(self, key: str, owner: str, *, checkpoint_owner: str | None = None) -> None:
        self.table.add(Lease(key, TRIM_HORIZON))
        self.table.take(self.table.scan()[key], owner)
        if checkpoint_owner:
            self._dynamodb.update_item(
                TableName=self.table.name,
                Key={"leaseKey": {"S": key}},
                UpdateExpression="SET checkpointOwner = :from",
                ExpressionAttributeValues={":from": {"S": checkpoint_owner}},
            )

    def owners(self) -> dict[str, str | None]:
        assert all(lease.checkpoint_owner is None for lease in self.table.scan().values())
        return {key: lease.owner for key, lease in sorted(self.table.scan().items())}

    async def replace(self, lock: LeaderLock, by: str) -> None:
        await self._hand_off(by).replace_leader(lock)

    async def leave(self, worker: str) -> None:
        await self._hand_off(worker).leave()

    def _hand_off(self, worker: str) -> LeaseHandOff:
        options = KinesisOptions(application=self._application, worker_id=worker)
        return LeaseHandOff(self.table, self.coordination, options, self.calls)


@pytest.fixture
def workers(dynamodb: "DynamoDBClient", application: str) -> Iterator[Workers]:
    made = Workers(dynamodb, application)
    yield made
    made.calls.close()


async def test_one_leaves_its_leases_its_report_and_the_lock_to_those_that_report(workers: Workers) -> None:
    workers.lease("0", "w1")
    workers.lease("1", "w1")
    workers.lease("2", "w2", checkpoint_owner="w1")
    workers.lease("3", "w3")
    for worker in ("w1", "w2", "w3"):
        workers.report(worker)
    workers.report("dead", seconds_ago=12)
    workers.lead("w1")
    await workers.leave("w1")
    assert workers.owners() == {"0": "w2", "1": "w3", "2": "w2", "3": "w3"}
    assert not workers.coordination.release_leadership("w1")
    assert workers.coordination.last_sign_of("w1") is None


async def test_when_several_leave_at_once_the_last_one_has_all(workers: Workers) -> None:
    leaving = [f"w{number}" for number in range(4)]
    for number, worker in enumerate(leaving):
        workers.report(worker)
        for shard in range(3):
            workers.lease(f"{number}-{shard}", worker)
    workers.report("stays")
    await asyncio.gather(*(workers.leave(worker) for worker in leaving))
    assert set(workers.owners().values()) == {"stays"}


async def test_when_all_leave_at_once_every_lease_is_free(workers: Workers) -> None:
    for number in range(4):
        workers.report(f"w{number}")
        workers.lease(str(number), f"w{number}")
    await asyncio.gather(*(workers.leave(f"w{number}") for number in range(4)))
    assert set(workers.owners().values()) == {None}


async def test_a_dead_leaders_leases_go_to_those_that_live_and_its_lock_is_cleared(workers: Workers) -> None:
    for number in range(4):
        workers.lease(str(number), "dead")
    workers.lease("4", "w1", checkpoint_owner="dead")
    for worker, ago in {"dead": 15, "w1": 60, "w2": 0, "w3": 13}.items():
        workers.report(worker, seconds_ago=ago)
    workers.lead("dead")
    lock = workers.coordination.leader_lock()
    assert lock == LeaderLock("dead", "1")
    # w1 lives, whatever the clocks say: it is the one that acts.
    await asyncio.gather(*(workers.replace(lock, by="w1") for _ in range(3)))
    assert workers.owners() == {"0": "w2", "1": "w1", "2": "w2", "3": "w1", "4": "w1"}
    assert workers.coordination.leader_lock() is None


@pytest.mark.parametrize(("owner", "version"), [("dead", "2"), ("w2", "1"), (None, "1")])
async def test_a_lock_that_was_renewed_or_taken_meanwhile_stays(
    workers: Workers, owner: str | None, version: str
) -> None:
    workers.lease("0", "dead")
    workers.report("w1")
    if owner:
        workers.lead(owner, version)
    before = workers.coordination.leader_lock()
    await workers.replace(LeaderLock("dead", "1"), by="w1")
    assert workers.coordination.leader_lock() == before
    assert workers.owners() == {"0": "dead"}


async def test_tables_that_are_gone_have_no_lease_to_hand_off(
    workers: Workers, dynamodb: "DynamoDBClient", application: str, caplog: pytest.LogCaptureFixture
) -> None:
    for spec in kcl_specs(application):
        dynamodb.delete_table(TableName=spec.name)
    await workers.leave("w1")
    assert [record.__dict__["action"] for record in caplog.records if record.levelname == "ERROR"] == [
        "leases_not_handed_off"
    ]
