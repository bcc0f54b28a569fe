"""KCL's tables as the bridge makes them and as this package makes them: one shape; and the leader's lock."""

from typing import TYPE_CHECKING, Any

import pytest

from faust_kinesis.kcl.coordination_tables import CoordinationTables
from faust_kinesis.leases.table import LeaseTable
from ledger.store.tables import Names, ensure_table, lease_specs

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

pytestmark = pytest.mark.integration


def shape(dynamodb: "DynamoDBClient", name: str) -> dict[str, Any]:
    table = dynamodb.describe_table(TableName=name)["Table"]
    (index,) = table.get("GlobalSecondaryIndexes", [None])
    return {
        "keys": table["KeySchema"],
        "attributes": sorted(table["AttributeDefinitions"], key=lambda found: found["AttributeName"]),
        "index": index and (index["IndexName"], index["KeySchema"], index["Projection"]),
    }


def test_the_bridge_makes_what_the_projector_would_make(dynamodb: "DynamoDBClient", profile: str) -> None:
    made_here, made_by_bridge = f"here-{profile}", Names(profile)
    LeaseTable(dynamodb, made_here).create()
    coordination = CoordinationTables(dynamodb, made_here)
    for name, key in coordination.missing():
        coordination.create(name, key)
    assert coordination.are_active()
    for spec in lease_specs(made_by_bridge):
        ensure_table(dynamodb, spec)
        assert shape(dynamodb, spec.name) == shape(dynamodb, spec.name.replace(made_by_bridge.leases, made_here))


def test_only_the_own_leaders_lock_is_released(dynamodb: "DynamoDBClient", profile: str) -> None:
    coordination = CoordinationTables(dynamodb, f"app-{profile}")
    for name, key in coordination.missing():
        coordination.create(name, key)
    assert not coordination.release_leadership("w1")
    dynamodb.put_item(TableName=coordination.coordinator, Item={"key": {"S": "Leader"}, "ownerName": {"S": "w2"}})
    assert not coordination.release_leadership("w1")
    assert coordination.release_leadership("w2")
    assert "Item" not in dynamodb.get_item(TableName=coordination.coordinator, Key={"key": {"S": "Leader"}})
    assert coordination.last_sign_of("w1") is None
