"""Start a stream's consumers over: from its beginning, its end, or a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from faust_kinesis.errors import LeaseLostError, LeasesHeldError
from faust_kinesis.leases.table import Lease, LeaseTable
from faust_kinesis.leases.topology import list_shards, missing_leases
from faust_kinesis.options import StartingPosition

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_kinesis import KinesisClient


def reset_leases(
    *,
    kinesis: KinesisClient,
    dynamodb: DynamoDBClient,
    stream: str,
    application: str,
    start: StartingPosition,
    even_if_held: bool = False,
) -> list[Lease]:
    """Reset every lease of the application to `start`, as at a first start; returns the new leases. Blocks.

    Stop the workers first; a clean stop leaves no owner. `even_if_held` is for the leases of a killed worker, and is
    still refused when a worker renews one meanwhile. When it fails half way, repeat it: no state in between loses
    records, since a worker reads a shard without a lease from its beginning, or from the first start.

    The rows hold a start time themselves, for the polling source. KCL takes it from its own configuration.

    Raises LeasesHeldError: a worker holds leases; the message names the worker and the shards.
    Raises ClientError: from the services; the stream and the lease table must exist.
    """
    table = LeaseTable(dynamodb, application)
    before = table.scan()
    held = [lease for lease in before.values() if lease.owner is not None and not lease.ended]
    if held and not even_if_held:
        raise LeasesHeldError(
            "stop the workers first: "
            + "; ".join(f"{lease.owner} has {lease.key}" for lease in sorted(held, key=lambda lease: lease.key))
        )
    topology = list_shards(kinesis, stream)
    for lease in before.values():
        try:
            table.remove(lease)
        except LeaseLostError as error:
            raise LeasesHeldError(f"a worker is alive and renewed {lease.key}: stop it first") from error
    fresh = missing_leases(topology, {}, start)
    for lease in fresh:
        table.add(lease)
    return fresh
