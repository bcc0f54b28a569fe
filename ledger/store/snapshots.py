"""Snapshots: an aggregate's fold at a version, so that a load need not read the events before it.

A snapshot is a copy that can always be made anew from the events. It is used only when it is of a known schema and
readable, and the event that it ends at is the one that is stored; otherwise it costs time, never correctness.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from aws_client.tables import unchanged, write_if
from ledger.aggregates.aggregate_type import Aggregate, AnyType
from ledger.runtime.aws import aws_errors
from ledger.store.errors import SnapshotError
from ledger.store.id_archive import IdArchive
from ledger.store.parallel_scan import Item
from ledger.store.stored_event import timestamp
from ledger.store.transactions import MAX_ITEM_BYTES

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

#: Room in an item for everything but the state: keys, numbers, a time.
_OVERHEAD: Final = 1024


@dataclass(frozen=True, slots=True)
class Snapshot:
    """An aggregate, and the hash of the event that its fold ends at; None in one that was stored without."""

    aggregate: Aggregate[Any, Any]
    event_hash: str | None


@dataclass(frozen=True, slots=True)
class SnapshotStore:
    """Snapshots in ``snapshots-{profile}``, one an aggregate. Safe to share between threads."""

    dynamodb: "DynamoDBClient"
    table: str

    @property
    def archive(self) -> IdArchive:
        """The used ids that the snapshots leave out."""
        return IdArchive(self.dynamodb, self.table)

    def find(self, aggregate_id: str) -> Item | None:
        """Read the aggregate's snapshot, for ``decode``; None when it has none.

        Raises ThrottledError, EndpointError, ResourceError.
        """
        with aws_errors(f"reading the snapshot of {aggregate_id}"):
            return self.dynamodb.get_item(TableName=self.table, Key=_key(aggregate_id), ConsistentRead=True).get("Item")

    def save(self, snapshot: Snapshot) -> bool:
        """Store an aggregate's snapshot; False when one of the same or a later version is there, which stays.

        Raises SnapshotError when it is larger than an item can be, and ThrottledError, EndpointError, ResourceError.
        """
        item = encode(snapshot)
        with aws_errors(f"storing the snapshot of {snapshot.aggregate.key}"):
            return write_if(
                self.dynamodb.put_item,
                TableName=self.table,
                Item=item,
                ConditionExpression="attribute_not_exists(aggregateId) OR #version < :version",
                ExpressionAttributeNames={"#version": "version"},
                ExpressionAttributeValues={":version": item["version"]},
            )

    def discard(self, aggregate_id: str, worthless: Item) -> bool:
        """Delete a snapshot that no event proves; False when another one is there by now, which stays.

        Raises ThrottledError, EndpointError, ResourceError.
        """
        condition = unchanged(worthless, ("version", "createdAt", "eventHash"))
        with aws_errors(f"deleting the snapshot of {aggregate_id}"):
            return write_if(self.dynamodb.delete_item, TableName=self.table, Key=_key(aggregate_id), **condition)


def crosses(before: int, after: int, interval: int) -> bool:
    """Whether an append from version ``before`` to ``after`` reaches or passes a multiple of ``interval``.

    0 switches snapshots off. An append of several events may jump over the multiple itself.
    """
    return interval > 0 and after // interval > before // interval


def encode(snapshot: Snapshot) -> dict[str, dict[str, str]]:
    """Write a snapshot as a DynamoDB item. Raises SnapshotError when it would be too large.

    Its aggregate's used ids are in the archive.
    """
    aggregate = snapshot.aggregate
    if aggregate.used_ids:
        raise ValueError(f"used ids of {aggregate.key} are not in the archive")
    codec = aggregate.type.snapshots
    state = codec.dump(aggregate.state)
    if len(state.encode()) > MAX_ITEM_BYTES - _OVERHEAD:
        raise SnapshotError(
            f"the snapshot of {aggregate.key} at version {aggregate.version} has {len(state)} bytes; DynamoDB "
            f"stores at most {MAX_ITEM_BYTES}. Its loads read all events since its last snapshot.",
            reason="too_large",
        )
    return {
        "aggregateId": {"S": aggregate.key},
        "version": {"N": str(aggregate.version)},
        "schemaVersion": {"N": str(codec.schema)},
        "state": {"S": state},
        "createdAt": {"S": timestamp(datetime.now(UTC))},
        **({"eventHash": {"S": snapshot.event_hash}} if snapshot.event_hash else {}),
    }


def decode(kind: AnyType, aggregate_id: str, item: Item) -> Snapshot:
    """Read the snapshot of the aggregate of this type and id; whether the events agree is not known.

    Raises SnapshotError, which never repeats the state, for one of another schema and for an unreadable one.
    """
    codec = kind.snapshots
    try:
        schema, version = int(item["schemaVersion"]["N"]), int(item["version"]["N"])
        state = codec.load(item["state"]["S"], schema, aggregate_id, version)
        event_hash = item["eventHash"]["S"] if "eventHash" in item else None
    except (KeyError, TypeError, ValueError) as error:
        raise SnapshotError(
            f"the snapshot of {kind.name} {aggregate_id} cannot be read: {type(error).__name__}", reason="unreadable"
        ) from None
    if state is None:
        raise SnapshotError(
            f"the snapshot of {kind.name} {aggregate_id} is of schema {schema}, and this code knows {codec.schema}",
            reason="schema",
        )
    return Snapshot(Aggregate(kind, aggregate_id, version, state), event_hash)


def _key(aggregate_id: str) -> dict[str, Any]:
    return {"aggregateId": {"S": aggregate_id}}
