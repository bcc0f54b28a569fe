"""Tables of a read model, looked at as a whole."""

from typing import Any

from ledger.runtime.aws import Clients


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
