"""Leases in KCL 3's table format: who reads a shard, and its checkpoint.

The table has KCL's keys and attributes (DynamoDBLeaseSerializer, single-stream mode: the lease key is the shard id), so
that KCL can continue where this source stopped, and vice versa. Updates are per attribute: whatever else KCL keeps in
a row stays. `startTimestamp` and `holderProcess` are attributes of our own, which KCL ignores.

Every write but the creation is conditional on the owner and the counter last seen, and raises the counter by one. So a
worker that has lost a lease without knowing it can neither checkpoint nor renew nor release it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from botocore.exceptions import ClientError

from aws_client.failures import is_condition_failed
from aws_client.tables import TableSpec, create_table, find_status
from faust_kinesis.errors import LeaseLostError
from faust_kinesis.leases.checkpoint_tracker import SHARD_END
from faust_kinesis.source import ShardStatus

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

TRIM_HORIZON = "TRIM_HORIZON"
LATEST = "LATEST"
AT_TIMESTAMP = "AT_TIMESTAMP"

_HELD = "leaseOwner = :me AND leaseCounter = :seen"


@dataclass(frozen=True, slots=True)
class Lease:
    """A row of the table.

    `checkpoint` is a sequence number, or TRIM_HORIZON, LATEST, AT_TIMESTAMP or SHARD_END. `start_at` belongs to LATEST
    and AT_TIMESTAMP: the time they mean. `checkpoint_owner` is the worker that still reads while KCL moves the lease
    to `owner`. `holder` distinguishes processes with the same worker id.
    """

    key: str
    checkpoint: str
    owner: str | None = None
    counter: int = 0
    parents: frozenset[str] = frozenset()
    starting_hash_key: str | None = None
    ending_hash_key: str | None = None
    start_at: datetime | None = None
    checkpoint_owner: str | None = None
    holder: str | None = None

    @property
    def ended(self) -> bool:
        """Whether the shard was read to its end and all of it is completed."""
        return self.checkpoint == SHARD_END

    def status(self) -> ShardStatus:
        """The shard's status for a worker that does not read it."""
        return ShardStatus(self.key, self.owner, self.checkpoint, None, None, 0, self.ended, self.counter)


def lease_spec(name: str) -> TableSpec:
    """The lease table as KCL 3 makes it, with its index over owners."""
    owner_index = ("LeaseOwnerToLeaseKeyIndex", (("leaseOwner", "S"), ("leaseKey", "S")))
    return TableSpec(name, (("leaseKey", "S"),), index=owner_index)


class LeaseTable:
    """The lease table. Its methods block; each is one request, or pages of one. DynamoDB's errors come as they are."""

    def __init__(self, dynamodb: DynamoDBClient, name: str) -> None:
        self._dynamodb = dynamodb
        self._holder = uuid4().hex
        self.name = name

    def is_active(self) -> bool | None:
        """Whether the table is usable; None when it does not exist."""
        status = find_status(self._dynamodb, self.name)
        return None if status is None else status in {"ACTIVE", "UPDATING"}

    def create(self) -> None:
        """Create the table with KCL's index over owners, billed by request. No error when another worker was faster."""
        create_table(self._dynamodb, lease_spec(self.name))

    def scan(self) -> dict[str, Lease]:
        """All leases by key, read consistently."""
        pages = self._dynamodb.get_paginator("scan").paginate(TableName=self.name, ConsistentRead=True)
        rows = (row for page in pages for row in page["Items"])
        return {lease.key: lease for lease in map(_lease_of, rows) if lease is not None}

    def add(self, lease: Lease) -> bool:
        """Create the row of a new lease; False when the row exists already, whatever it holds."""
        row: dict[str, AttributeValueTypeDef] = {
            "leaseKey": {"S": lease.key},
            "leaseCounter": {"N": "0"},
            "checkpoint": {"S": lease.checkpoint},
            "checkpointSubSequenceNumber": {"N": "0"},
            "ownerSwitchesSinceCheckpoint": {"N": "0"},
        }
        if lease.parents:
            row["parentShardId"] = {"SS": sorted(lease.parents)}
        if lease.starting_hash_key is not None and lease.ending_hash_key is not None:
            row |= {"startingHashKey": {"S": lease.starting_hash_key}, "endingHashKey": {"S": lease.ending_hash_key}}
        if lease.start_at is not None:
            row["startTimestamp"] = {"N": str(int(lease.start_at.timestamp() * 1000))}
        try:
            self._dynamodb.put_item(TableName=self.name, Item=row, ConditionExpression="attribute_not_exists(leaseKey)")
        except ClientError as error:
            if is_condition_failed(error):
                return False
            raise
        return True

    def take(self, lease: Lease, owner: str) -> Lease:
        """Make `owner` the owner, whoever it was before, if the row is unchanged since `lease` was read.

        Raises LeaseLostError: somebody else wrote to it meanwhile.
        """
        switches = " ADD ownerSwitchesSinceCheckpoint :one" if lease.owner not in {None, owner} else ""
        values: dict[str, AttributeValueTypeDef] = {
            ":me": {"S": owner},
            ":seen": {"N": str(lease.counter)},
            ":next": {"N": str(lease.counter + 1)},
            ":holder": {"S": self._holder},
        }
        if switches:
            values[":one"] = {"N": "1"}
        taken = replace(lease, owner=owner, counter=lease.counter + 1, checkpoint_owner=None, holder=self._holder)
        self._write(
            taken,
            "taken",
            f"SET leaseOwner = :me, leaseCounter = :next, holderProcess = :holder REMOVE checkpointOwner{switches}",
            "leaseCounter = :seen",
            values,
        )
        return taken

    def renew(self, lease: Lease) -> Lease:
        """Raise the counter of a held lease, which shows others that its owner is alive.

        Raises LeaseLostError: the lease is no longer held.
        """
        return self._write_held(replace(lease, counter=lease.counter + 1), "renewed", "SET leaseCounter = :next", {})

    def checkpoint(self, lease: Lease, checkpoint: str, children: frozenset[str] = frozenset()) -> Lease:
        """Store a held lease's checkpoint, and renew it. With SHARD_END come the shard's `children`.

        The caller only moves it forwards: it knows the checkpoint from taking the lease, and nobody else can have
        written since.

        Raises LeaseLostError: the lease is no longer held, and nothing was written.
        """
        values: dict[str, AttributeValueTypeDef] = {":checkpoint": {"S": checkpoint}, ":zero": {"N": "0"}}
        update = (
            "SET leaseCounter = :next, checkpoint = :checkpoint, checkpointSubSequenceNumber = :zero,"
            " ownerSwitchesSinceCheckpoint = :zero"
        )
        if children:
            update += ", childShardIds = :children"
            values[":children"] = {"SS": sorted(children)}
        update += " REMOVE pendingCheckpoint, pendingCheckpointSubSequenceNumber, pendingCheckpointState"
        moved = replace(lease, counter=lease.counter + 1, checkpoint=checkpoint)
        return self._write_held(moved, "checkpointed", update, values)

    def release(self, lease: Lease) -> Lease:
        """Remove the owner of a held lease, so that any worker may take it at once.

        Raises LeaseLostError: the lease is no longer held.
        """
        update = "SET leaseCounter = :next REMOVE leaseOwner, checkpointOwner"
        return replace(self._write_held(replace(lease, counter=lease.counter + 1), "released", update, {}), owner=None)

    def pin_latest(self, lease: Lease) -> None:
        """Pin an unread lease at LATEST to the time it was created, which KCL would not know.

        Leaves owner and counter as they are. No error when the lease has moved on, or has no start time.
        """
        try:
            self._dynamodb.update_item(
                TableName=self.name,
                Key={"leaseKey": {"S": lease.key}},
                UpdateExpression="SET checkpoint = :moment",
                ConditionExpression="checkpoint = :latest AND attribute_exists(startTimestamp)",
                ExpressionAttributeValues={":moment": {"S": AT_TIMESTAMP}, ":latest": {"S": LATEST}},
            )
        except ClientError as error:
            if not is_condition_failed(error):
                raise

    def forget(self, lease: Lease) -> None:
        """Delete the lease of an ended shard. No error when it is gone; unchanged when it is not ended any more."""
        try:
            self._dynamodb.delete_item(
                TableName=self.name,
                Key={"leaseKey": {"S": lease.key}},
                ConditionExpression="checkpoint = :end",
                ExpressionAttributeValues={":end": {"S": SHARD_END}},
            )
        except ClientError as error:
            if not is_condition_failed(error):
                raise

    def remove(self, lease: Lease) -> None:
        """Delete the row of a lease, if it is unchanged since `lease` was read.

        Raises LeaseLostError: somebody wrote to it meanwhile, so a worker is using it.
        """
        try:
            self._dynamodb.delete_item(
                TableName=self.name,
                Key={"leaseKey": {"S": lease.key}},
                ConditionExpression="attribute_not_exists(leaseKey) OR leaseCounter = :seen",
                ExpressionAttributeValues={":seen": {"N": str(lease.counter)}},
            )
        except ClientError as error:
            if not is_condition_failed(error):
                raise
            raise LeaseLostError(lease.key, "removed") from error

    def _write_held(self, after: Lease, done: str, update: str, values: Mapping[str, Any]) -> Lease:
        held = {
            ":me": {"S": str(after.owner)},
            ":seen": {"N": str(after.counter - 1)},
            ":next": {"N": str(after.counter)},
        }
        self._write(after, done, update, _HELD, {**held, **values})
        return after

    def _write(self, after: Lease, done: str, update: str, condition: str, values: Mapping[str, Any]) -> None:
        try:
            self._dynamodb.update_item(
                TableName=self.name,
                Key={"leaseKey": {"S": after.key}},
                UpdateExpression=update,
                ConditionExpression=condition,
                ExpressionAttributeValues=values,
            )
        except ClientError as error:
            if not is_condition_failed(error):
                raise
            if not self._is_written(after):
                raise LeaseLostError(after.key, done) from error

    def _is_written(self, after: Lease) -> bool:
        """Whether the row is exactly as the refused write would have left it.

        Then this write did it: a first attempt succeeded, its response was lost, and the retry was refused.
        """
        row = self._dynamodb.get_item(TableName=self.name, Key={"leaseKey": {"S": after.key}}, ConsistentRead=True)
        now = _lease_of(row.get("Item", {}))
        return now is not None and (now.holder, now.counter, now.checkpoint) == (
            self._holder,
            after.counter,
            after.checkpoint,
        )


def _lease_of(row: Mapping[str, Any]) -> Lease | None:
    """None for a row that is not a lease: KCL 3.5 and later may keep others, which it marks by an `entityType`."""
    if not row or row.get("entityType", {}).get("S", "LEASE") != "LEASE":
        return None
    start_ms = row.get("startTimestamp", {}).get("N")
    return Lease(
        key=row["leaseKey"]["S"],
        checkpoint=row["checkpoint"]["S"],
        owner=row.get("leaseOwner", {}).get("S"),
        counter=int(row.get("leaseCounter", {}).get("N", "0")),
        parents=frozenset(row.get("parentShardId", {}).get("SS", ())),
        starting_hash_key=row.get("startingHashKey", {}).get("S"),
        ending_hash_key=row.get("endingHashKey", {}).get("S"),
        start_at=datetime.fromtimestamp(int(start_ms) / 1000, UTC) if start_ms else None,
        checkpoint_owner=row.get("checkpointOwner", {}).get("S"),
        holder=row.get("holderProcess", {}).get("S"),
    )
