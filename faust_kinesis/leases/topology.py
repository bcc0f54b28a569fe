"""The shards of a stream, their parents and children, and the leases they need."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from faust_kinesis.leases.table import AT_TIMESTAMP, LATEST, TRIM_HORIZON, Lease
from faust_kinesis.options import StartingPosition

if TYPE_CHECKING:
    from mypy_boto3_kinesis import KinesisClient
    from mypy_boto3_kinesis.type_defs import ShardTypeDef


@dataclass(frozen=True, slots=True)
class Shard:
    """A shard from ListShards. An open shard may still receive records."""

    shard_id: str
    parents: frozenset[str] = frozenset()
    starting_hash_key: str = "0"
    ending_hash_key: str = "0"
    is_open: bool = True


@dataclass(frozen=True, slots=True)
class Topology:
    """All listed shards, and the service's own time of the listing, rounded down."""

    shards: Mapping[str, Shard]
    listed_at: datetime

    def children(self, shard_id: str) -> frozenset[str]:
        """The listed children of a shard."""
        return frozenset(shard.shard_id for shard in self.shards.values() if shard_id in shard.parents)


def list_shards(kinesis: KinesisClient, stream: str) -> Topology:
    """List every shard that still holds records, open or closed.

    Raises ClientError: ResourceNotFoundException when there is no such stream, or any other failure.
    """
    page = kinesis.list_shards(StreamName=stream)
    listed_at = _server_time(page)
    found = list(page["Shards"])
    while token := page.get("NextToken"):
        page = kinesis.list_shards(NextToken=token)
        found += page["Shards"]
    return Topology({shard["ShardId"]: _shard(shard) for shard in found}, listed_at)


def _shard(shard: ShardTypeDef) -> Shard:
    parents = (shard.get("ParentShardId"), shard.get("AdjacentParentShardId"))
    return Shard(
        shard_id=shard["ShardId"],
        parents=frozenset(parent for parent in parents if parent),
        starting_hash_key=shard["HashKeyRange"]["StartingHashKey"],
        ending_hash_key=shard["HashKeyRange"]["EndingHashKey"],
        is_open=not shard["SequenceNumberRange"].get("EndingSequenceNumber"),
    )


def _server_time(answer: Any) -> datetime:
    """The Date header has whole seconds: one second less is never in the service's future."""
    date = answer["ResponseMetadata"].get("HTTPHeaders", {}).get("date")
    moment = parsedate_to_datetime(date) if date else datetime.now(UTC)
    return moment.astimezone(UTC) - timedelta(seconds=1)


def missing_leases(topology: Topology, leases: Mapping[str, Lease], start: StartingPosition) -> list[Lease]:
    """The leases to create, with the checkpoints KCL's HierarchicalShardSyncer would give them, simplified.

    With no lease at all, this is the first start, and `start` counts: from trim horizon or a time, every listed shard;
    from latest, the open ones. Later, a shard without a lease is either **history** that the first start left out (an
    ancestor of a leased shard: no lease), or **new**. A new shard is read from its beginning, so that nothing written
    since the first start is missed. Where no leased ancestor proves that it is new, it is read from the time of the
    first start if a lease still holds it: so a first start that was interrupted, or made by two workers at once, reads
    no history either. (KCL would skip to latest there.)
    """
    if not leases:
        position = {"trim-horizon": (TRIM_HORIZON, None), "latest": (LATEST, topology.listed_at)}
        checkpoint, start_at = position[start] if isinstance(start, str) else (AT_TIMESTAMP, start)
        listed = topology.shards.values()
        return [_lease(shard, checkpoint, start_at) for shard in listed if shard.is_open or start != "latest"]
    history = _ancestors(leases, topology)
    began = min((lease.start_at for lease in leases.values() if lease.start_at), default=None)
    fresh = [
        shard for shard in topology.shards.values() if shard.shard_id not in leases and shard.shard_id not in history
    ]
    return [
        _lease(shard, TRIM_HORIZON, None)
        if began is None or _ancestors([shard.shard_id], topology) & leases.keys()
        else _lease(shard, AT_TIMESTAMP, began)
        for shard in fresh
    ]


def _lease(shard: Shard, checkpoint: str, start_at: datetime | None) -> Lease:
    return Lease(
        key=shard.shard_id,
        checkpoint=checkpoint,
        parents=shard.parents,
        starting_hash_key=shard.starting_hash_key,
        ending_hash_key=shard.ending_hash_key,
        start_at=start_at,
    )


def _ancestors(shard_ids: Iterable[str], topology: Topology) -> set[str]:
    found: set[str] = set()
    waiting = list(shard_ids)
    while waiting:
        shard = topology.shards.get(waiting.pop())
        fresh = (shard.parents if shard else frozenset()) - found
        found |= fresh
        waiting += fresh
    return found
