"""The tables of a profile: made for a test, and a read model's looked at as a whole."""

from typing import TYPE_CHECKING, Any

from kinfold.local.embedded_aws import REGION
from kinfold.tables import all_specs, service_specs
from ledger.runtime.aws import Clients
from ledger.runtime.settings import Bridge
from ledger.store.tables import Names, ensure_table
from stream_bridge.provisioning import bridge
from stream_bridge.provisioning.bridge import BridgeReport
from stream_bridge.provisioning.stream import StreamPlan
from stream_bridge.waiter import StateWaiter

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


def made_tables(dynamodb: "DynamoDBClient", names: Names) -> Names:
    """Create every table of the main job; gives their names."""
    for spec in service_specs(names):
        ensure_table(dynamodb, spec)
    return names


def made_bridge(clients: Clients, names: Names, shards: int, mode: Bridge = "native") -> BridgeReport:
    """Every table and the stream, joined as ``kinfold bridge ensure`` joins them, without a process for it."""
    return bridge.ensure(
        clients,
        names,
        all_specs(names),
        StreamPlan(shards),
        StateWaiter(60, print),
        stream_arn=None,
        region=REGION,
        mode=mode,
    )


def rows(clients: Clients, name: str) -> dict[tuple[str, str], Any]:
    """Every item of a read model's table, by account and day ("" where rows have none)."""
    pages = clients.dynamodb.get_paginator("scan").paginate(TableName=name, ConsistentRead=True)
    items = [item for page in pages for item in page["Items"]]
    return {(item["aggregateId"]["S"], item.get("day", {}).get("S", "")): item for item in items}


def empty(clients: Clients, name: str) -> None:
    """Delete every row."""
    for account_id, day in rows(clients, name):
        key = {"aggregateId": {"S": account_id}} | ({"day": {"S": day}} if day else {})
        clients.dynamodb.delete_item(TableName=name, Key=key)
