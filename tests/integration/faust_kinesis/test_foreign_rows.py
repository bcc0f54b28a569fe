"""Rows of a lease table that are no leases of the stream: passed by, never taken, never deleted, never in the way."""

import logging
from typing import TYPE_CHECKING, Any

import pytest

from aws_client.call_pool import CallPool
from faust_kinesis.kcl.coordination.tables import kcl_specs
from faust_kinesis.leases.coordinator import LeaseCoordinator
from faust_kinesis.leases.table import LeaseTable
from faust_kinesis.options import KinesisOptions
from tests.support.aws.stream import Stream

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_kinesis import KinesisClient

pytestmark = pytest.mark.integration

#: As KCL writes them, of another stream: one to take, one whose shard has ended, which would be forgotten.
OTHERS: list[dict[str, Any]] = [
    {
        "leaseKey": {"S": f"123456789012:other-stream:1700000000:shardId-00000000000{number}"},
        "streamName": {"S": "123456789012:other-stream:1700000000"},
        "shardId": {"S": f"shardId-00000000000{number}"},
        "leaseCounter": {"N": "4"},
        "checkpoint": {"S": checkpoint},
    }
    for number, checkpoint in enumerate(["TRIM_HORIZON", "SHARD_END", "4959033827149025660"])
]
#: KCL's own rows beside its leases, from version 3.5 on, and what anybody may have put there.
NO_LEASES: list[dict[str, Any]] = [
    {"leaseKey": {"S": "Leader"}, "entityType": {"S": "leaderLock"}, "ownerName": {"S": "w9"}},
    {"leaseKey": {"S": "w9"}, "entityType": {"S": "WORKER_METRIC_STATS"}, "lut": {"N": "1"}},
    {"leaseKey": {"S": "Migration3.0"}, "cv": {"S": "CLIENT_VERSION_3X"}},
    {"leaseKey": {"S": "no checkpoint"}, "leaseCounter": {"N": "1"}},
    {"leaseKey": {"S": "no text"}, "checkpoint": {"N": "1"}},
    {"leaseKey": {"S": "no number"}, "checkpoint": {"S": "SHARD_END"}, "leaseCounter": {"S": "x"}},
    {"leaseKey": {"S": "no moment"}, "checkpoint": {"S": "LATEST"}, "startTimestamp": {"N": "9" * 30}},
    {"leaseKey": {"S": "no set"}, "checkpoint": {"S": "LATEST"}, "parentShardId": {"L": []}},
    {"leaseKey": {"S": "odd mark"}, "checkpoint": {"S": "LATEST"}, "entityType": {"N": "1"}},
]


async def test_they_are_left_as_they_are(
    stream: Stream,
    application: str,
    lease_table: LeaseTable,
    kinesis: "KinesisClient",
    dynamodb: "DynamoDBClient",
    caplog: pytest.LogCaptureFixture,
) -> None:
    stream.create(1)
    options, calls = KinesisOptions(application=application, worker_id="w1", failover_time=0.1), CallPool(2, "test")
    coordinator = LeaseCoordinator(
        stream.name, options, kinesis=kinesis, dynamodb=dynamodb, table=lease_table, reads=calls, writes=calls
    )
    taken: set[str] = set()
    try:
        await coordinator.prepare(kcl_specs(application)[:1])
        for row in OTHERS + NO_LEASES:
            dynamodb.put_item(TableName=application, Item=row)
        with caplog.at_level(logging.WARNING):
            for _ in range(3):
                await coordinator.sync(list_anew=True)
                taken |= {each.lease.key for each in await coordinator.take([])}
    finally:
        calls.close()
    (shard,) = stream.shard_ids()
    # A foreign row is no earlier start either: the stream is read from where a first start reads it.
    assert set(coordinator.leases) == set(lease_table.scan()) == {shard}
    assert taken == {shard}
    stored = dynamodb.scan(TableName=application)["Items"]
    assert [row for row in OTHERS + NO_LEASES if row not in stored] == []
    said = [str(getattr(record, "shard", "")) for record in caplog.records if record.name == lease_table.__module__]
    assert len(said) == len(set(said))
    assert "Leader" not in said
