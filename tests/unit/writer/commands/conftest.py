"""Aggregates over memory, with their snapshots."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any, cast

import pytest
from botocore.exceptions import ClientError

from betting.account import Account
from betting.account_type import ACCOUNT
from betting.events import BettingEvent, FundsDeposited
from ledger.store.event_store import EventStore
from ledger.store.snapshots import Snapshot, SnapshotStore, encode
from tests.support.accounts import aggregate_of, save
from tests.unit.writer.conftest import MemoryStore
from writer.commands.aggregate_repository import AggregateRepository
from writer.commands.snapshot_writer import SnapshotWriter
from writer.metrics import Metrics

INTERVAL = 10


class MemorySnapshots:
    """A snapshots table in memory."""

    def __init__(self) -> None:
        self.items: dict[str, Any] = {}
        self.before_put: Callable[[], None] = lambda: None
        self.before_batch: Callable[[], None] = lambda: None
        self.looked_for: list[str] = []

    def get_item(self, *, Key: Any, **_: Any) -> Any:  # noqa: N803 - boto3's name
        item = self.items.get(Key["aggregateId"]["S"])
        return {"Item": item} if item else {}

    def put_item(self, *, Item: Any, ConditionExpression: str, **_: Any) -> None:  # noqa: N803
        assert ConditionExpression == "attribute_not_exists(aggregateId) OR #version < :version"
        self.before_put()
        found = self.items.get(Item["aggregateId"]["S"])
        if found and int(found["version"]["N"]) >= int(Item["version"]["N"]):
            raise ClientError({"Error": {"Code": "ConditionalCheckFailedException"}}, "PutItem")
        self.items[Item["aggregateId"]["S"]] = Item

    def batch_write_item(self, *, RequestItems: Any) -> Any:  # noqa: N803
        self.before_batch()
        [puts] = RequestItems.values()
        self.items |= {put["PutRequest"]["Item"]["aggregateId"]["S"]: put["PutRequest"]["Item"] for put in puts}
        return {}

    def batch_get_item(self, *, RequestItems: Any) -> Any:  # noqa: N803
        [(table, asked)] = RequestItems.items()
        self.looked_for += [key["aggregateId"]["S"] for key in asked["Keys"]]
        keys = (key["aggregateId"]["S"] for key in asked["Keys"])
        return {"Responses": {table: [self.items[key] for key in keys if key in self.items]}}


class Rig:
    """Accounts over memory, with snapshots every ``interval`` events."""

    def __init__(self, interval: int = INTERVAL) -> None:
        self.store = MemoryStore()
        self.table = MemorySnapshots()
        self.metrics = Metrics()
        self.snapshots = SnapshotWriter(SnapshotStore(cast("Any", self.table), "s"), self.metrics, interval=interval)
        self.accounts = AggregateRepository(cast("EventStore", self.store), self.snapshots)

    def append(self, *events: BettingEvent) -> None:
        save(self.accounts, self.accounts.load(ACCOUNT, "alice"), events)

    def close(self) -> None:
        self.snapshots.close(timeout=10)

    def counted(self, name: str, **labels: str) -> float:
        return self.metrics.registry.get_sample_value(f"kinfold_writer_{name}_total", labels) or 0


@pytest.fixture
def rig() -> Any:
    rig = Rig()
    yield rig
    rig.close()


def deposit(amount: int = 1) -> FundsDeposited:
    return FundsDeposited(amount=Decimal(amount), currency="EUR")


def broken(**changes: Any) -> Any:
    account = Account.reconstitute("alice", [deposit(1000)] * 20)
    return encode(Snapshot(aggregate_of(account), None)) | changes
