"""KCL's tables as they are made beforehand and as a worker makes them: one shape; and the leader's lock."""

from typing import TYPE_CHECKING, Any

import pytest

from aws_client.call_pool import CallPool
from faust_kinesis.kcl.coordination.tables import CoordinationTables, kcl_specs
from faust_kinesis.leases.coordinator import LeaseCoordinator
from faust_kinesis.leases.table import LeaseTable
from faust_kinesis.options import KinesisOptions
from ledger.store.tables import ensure_table
from tests.support.aws.stream import Stream

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_kinesis import KinesisClient

pytestmark = pytest.mark.integration


def shape(dynamodb: "DynamoDBClient", name: str) -> dict[str, Any]:
    table = dynamodb.describe_table(TableName=name)["Table"]
    (index,) = table.get("GlobalSecondaryIndexes", [None])
    return {
        "keys": table["KeySchema"],
        "attributes": sorted(table["AttributeDefinitions"], key=lambda found: found["AttributeName"]),
        "index": index and (index["IndexName"], index["KeySchema"], index["Projection"]),
    }


async def test_a_worker_makes_just_the_tables_that_are_made_beforehand(
    stream: Stream, kinesis: "KinesisClient", dynamodb: "DynamoDBClient", profile: str
) -> None:
    by_worker, beforehand = f"worker-{profile}", f"beforehand-{profile}"
    options = KinesisOptions(application=by_worker, worker_id="w1")
    calls = CallPool(2, "test")
    table = LeaseTable(dynamodb, options.application)
    worker = LeaseCoordinator(
        stream.name, options, kinesis=kinesis, dynamodb=dynamodb, table=table, reads=calls, writes=calls
    )
    stream.create(1)
    try:
        await worker.prepare(kcl_specs(by_worker))
    finally:
        calls.close()
    for made, spec in zip(kcl_specs(by_worker), kcl_specs(beforehand), strict=True):
        ensure_table(dynamodb, spec)
        assert shape(dynamodb, spec.name) == shape(dynamodb, made.name)


def test_only_the_own_leaders_lock_is_released(dynamodb: "DynamoDBClient", profile: str) -> None:
    coordination = CoordinationTables(dynamodb, f"app-{profile}")
    for spec in kcl_specs(f"app-{profile}"):
        ensure_table(dynamodb, spec)
    assert not coordination.release_leadership("w1")
    dynamodb.put_item(TableName=coordination.coordinator, Item={"key": {"S": "Leader"}, "ownerName": {"S": "w2"}})
    assert not coordination.release_leadership("w1")
    assert coordination.release_leadership("w2")
    assert "Item" not in dynamodb.get_item(TableName=coordination.coordinator, Key={"key": {"S": "Leader"}})
    assert coordination.last_sign_of("w1") is None
