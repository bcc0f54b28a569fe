"""Leases in KCL 3's table format: who reads a shard, and its checkpoint.

The table has KCL's keys and attributes (DynamoDBLeaseSerializer, single-stream mode: the lease key is the shard id), so
that KCL can continue where this source stopped, and vice versa. Updates are per attribute: whatever else KCL keeps in
a row stays. `startTimestamp` and `holderProcess` are attributes of our own, which KCL ignores.

As KCL does, we pass by what is no lease of the stream: rows that it marks by an `entityType`, such as a leader's lock;
leases of several streams in one table (key `account:stream:epoch:shardId`); and what cannot be read as a lease.

Every write but the creation is conditional on the owner and the counter last seen, and raises the counter by one. So a
worker that has lost a lease without knowing it can neither checkpoint nor renew nor release it.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from aws_client.tables import TableSpec, write_if
from faust_kinesis.errors import LeaseLostError
from faust_kinesis.leases.checkpoint_tracker import SHARD_END
from faust_kinesis.source import ShardStatus

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

    _Values = dict[str, AttributeValueTypeDef]

log = logging.getLogger(__name__)

TRIM_HORIZON = "TRIM_HORIZON"
LATEST = "LATEST"
AT_TIMESTAMP = "AT_TIMESTAMP"

_OF_ANOTHER_STREAM = re.compile(r"\d{12}:[a-zA-Z0-9_.-]+:\d+:.+")
_UNREADABLE = (AttributeError, KeyError, OSError, OverflowError, TypeError, ValueError)
"""What reading a row raises that is garbage."""

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
        return ShardStatus(self.key, self.owner, self.checkpoint, None, None, 0, self.ended, self.counter, self.parents)


def lease_spec(name: str) -> TableSpec:
    """The lease table as KCL 3 makes it, with its index over owners."""
    owner_index = ("LeaseOwnerToLeaseKeyIndex", (("leaseOwner", "S"), ("leaseKey", "S")))
    return TableSpec(name, (("leaseKey", "S"),), index=owner_index)


class LeaseTable:
    """The lease table. Its methods block; each is one request, or pages of one. DynamoDB's errors come as they are.

    Each instance is a holder of its own: a lease is renewed, checkpointed and released through the one that took it.
    """

    def __init__(self, dynamodb: DynamoDBClient, name: str) -> None:
        self._dynamodb = dynamodb
        # Made once: botocore makes a class for each.
        self._scans = dynamodb.get_paginator("scan")
        self._holder = uuid4().hex
        self._passed_by: set[str] = set()
        self.name = name

    def scan(self) -> dict[str, Lease]:
        """All leases by key, read consistently. A row that cannot be read as one is passed by, and logged once."""
        pages = self._scans.paginate(TableName=self.name, ConsistentRead=True)
        found = {}
        for row in (row for page in pages for row in page["Items"]):
            try:
                lease = _lease_of(row)
            except _UNREADABLE as error:
                self._pass_by(row, error)
                continue
            if lease is not None:
                found[lease.key] = lease
        return found

    def _pass_by(self, row: Mapping[str, Any], error: Exception) -> None:
        key = str(row.get("leaseKey", {}).get("S"))[:200]
        if key not in self._passed_by:
            self._passed_by.add(key)
            log.warning(
                "Row %s of lease table %s is no lease (%s: %s) and is passed by, as KCL does; look who wrote it",
                key,
                self.name,
                type(error).__name__,
                error,
                extra={"action": "row_passed_by", "lease_table": self.name, "shard": key},
            )

    def add(self, lease: Lease) -> bool:
        """Create the row of a new lease; False when the row exists already, whatever it holds."""
        row: _Values = {
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
        return write_if(
            self._dynamodb.put_item,
            TableName=self.name,
            Item=row,
            ConditionExpression="attribute_not_exists(leaseKey)",
        )

    def take(self, lease: Lease, owner: str) -> Lease:
        """Make `owner` the owner, whoever it was before, if the row is unchanged since `lease` was read.

        Raises LeaseLostError: somebody else wrote to it meanwhile.
        """
        update = ", leaseOwner = :me, holderProcess = :holder REMOVE checkpointOwner"
        values: _Values = {":holder": {"S": self._holder}}
        if lease.owner not in {None, owner}:
            update += " ADD ownerSwitchesSinceCheckpoint :one"
            values[":one"] = {"N": "1"}
        taken = replace(lease, owner=owner, checkpoint_owner=None, holder=self._holder)
        return self._write(taken, "taken", update, values, condition="leaseCounter = :seen")

    def renew(self, lease: Lease) -> Lease:
        """Raise the counter of a held lease, which shows others that its owner is alive.

        Raises LeaseLostError: the lease is no longer held.
        """
        return self._write(lease, "renewed")

    def checkpoint(self, lease: Lease, checkpoint: str, children: frozenset[str] = frozenset()) -> Lease:
        """Store a held lease's checkpoint, and renew it. With SHARD_END come the shard's `children`.

        The caller only moves it forwards: it knows the checkpoint from taking the lease, and nobody else can have
        written since.

        Raises LeaseLostError: the lease is no longer held, and nothing was written.
        """
        update = ", checkpoint = :checkpoint, checkpointSubSequenceNumber = :zero, ownerSwitchesSinceCheckpoint = :zero"
        values: _Values = {":checkpoint": {"S": checkpoint}, ":zero": {"N": "0"}}
        if children:
            update += ", childShardIds = :children"
            values[":children"] = {"SS": sorted(children)}
        update += " REMOVE pendingCheckpoint, pendingCheckpointSubSequenceNumber, pendingCheckpointState"
        return self._write(replace(lease, checkpoint=checkpoint), "checkpointed", update, values)

    def release(self, lease: Lease) -> Lease:
        """Remove the owner of a held lease, so that any worker may take it at once.

        Raises LeaseLostError: the lease is no longer held.
        """
        return replace(self._write(lease, "released", " REMOVE leaseOwner, checkpointOwner"), owner=None)

    def pin_latest(self, lease: Lease) -> None:
        """Pin an unread lease at LATEST to the time it was created, which KCL would not know.

        Leaves owner and counter as they are. No error when the lease has moved on, or has no start time.
        """
        self._write_if(
            self._dynamodb.update_item,
            lease,
            "checkpoint = :latest AND attribute_exists(startTimestamp)",
            {":moment": {"S": AT_TIMESTAMP}, ":latest": {"S": LATEST}},
            UpdateExpression="SET checkpoint = :moment",
        )

    def forget(self, lease: Lease) -> None:
        """Delete the lease of an ended shard. No error when it is gone; unchanged when it is not ended any more."""
        self._write_if(self._dynamodb.delete_item, lease, "checkpoint = :end", {":end": {"S": SHARD_END}})

    def remove(self, lease: Lease) -> None:
        """Delete the row of a lease, if it is unchanged since `lease` was read.

        Raises LeaseLostError: somebody wrote to it meanwhile, so a worker is using it.
        """
        condition = "attribute_not_exists(leaseKey) OR leaseCounter = :seen"
        if not self._write_if(self._dynamodb.delete_item, lease, condition, {":seen": {"N": str(lease.counter)}}):
            raise LeaseLostError(lease.key, "removed")

    def _write(
        self,
        lease: Lease,
        done: str,
        update: str = "",
        values: _Values | None = None,
        *,
        condition: str = _HELD,
    ) -> Lease:
        """Raise the counter and `update`; returns the lease as it then is."""
        after = replace(lease, counter=lease.counter + 1)
        values = {
            ":me": {"S": str(lease.owner)},
            ":seen": {"N": str(lease.counter)},
            ":next": {"N": str(after.counter)},
            **(values or {}),
        }
        update = f"SET leaseCounter = :next{update}"
        written = self._write_if(self._dynamodb.update_item, lease, condition, values, UpdateExpression=update)
        if not written and not self._is_written(after):
            raise LeaseLostError(lease.key, done)
        return after

    def _write_if(
        self, write: Callable[..., object], lease: Lease, condition: str, values: _Values, **request: str
    ) -> bool:
        return write_if(
            write,
            TableName=self.name,
            Key={"leaseKey": {"S": lease.key}},
            ConditionExpression=condition,
            ExpressionAttributeValues=values,
            **request,
        )

    def _is_written(self, after: Lease) -> bool:
        """Whether the row is exactly as the refused write would have left it.

        Then this write did it: a first attempt succeeded, its response was lost, and the retry was refused.
        """
        row = self._dynamodb.get_item(TableName=self.name, Key={"leaseKey": {"S": after.key}}, ConsistentRead=True)
        try:
            now = _lease_of(row.get("Item", {}))
        except _UNREADABLE:
            return False
        return now is not None and (now.holder, now.counter, now.checkpoint) == (
            self._holder,
            after.counter,
            after.checkpoint,
        )


def _lease_of(row: Mapping[str, Any]) -> Lease | None:
    """None for a row that is no lease, or one of another stream. Raises an error of `_UNREADABLE` for garbage."""
    if not row or row.get("entityType", {"S": "LEASE"}).get("S") != "LEASE":
        return None
    if "streamName" in row or _OF_ANOTHER_STREAM.fullmatch(row["leaseKey"]["S"]):
        return None
    start_ms = _value(row, "startTimestamp", "N")
    return Lease(
        key=row["leaseKey"]["S"],
        checkpoint=row["checkpoint"]["S"],
        owner=_value(row, "leaseOwner", "S"),
        counter=int(_value(row, "leaseCounter", "N") or 0),
        parents=frozenset(_value(row, "parentShardId", "SS") or ()),
        starting_hash_key=_value(row, "startingHashKey", "S"),
        ending_hash_key=_value(row, "endingHashKey", "S"),
        start_at=datetime.fromtimestamp(int(start_ms) / 1000, UTC) if start_ms else None,
        checkpoint_owner=_value(row, "checkpointOwner", "S"),
        holder=_value(row, "holderProcess", "S"),
    )


def _value(row: Mapping[str, Any], name: str, kind: str) -> Any:
    """An attribute, None where there is none. Raises KeyError for one of another type."""
    return row[name][kind] if name in row else None
