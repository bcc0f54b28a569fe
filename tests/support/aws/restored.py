"""The events table deleted and restored to an earlier moment, under its name."""

from collections.abc import Callable

from ledger.runtime.aws import Clients
from ledger.store.stored_event import StoredEvent
from ledger.store.tables import Names, ensure_table, store_specs


def restore_events(clients: Clients, names: Names, is_kept: Callable[[StoredEvent], bool]) -> None:
    """Delete the table and make it anew with those events that the backup holds."""
    dynamodb = clients.dynamodb
    pages = dynamodb.get_paginator("scan").paginate(TableName=names.events, ConsistentRead=True)
    items = [item for page in pages for item in page["Items"]]
    dynamodb.delete_table(TableName=names.events)
    dynamodb.get_waiter("table_not_exists").wait(TableName=names.events, WaiterConfig={"Delay": 1})
    ensure_table(dynamodb, store_specs(names)[0])
    for item in items:
        if is_kept(StoredEvent.from_item(item)):
            dynamodb.put_item(TableName=names.events, Item=item)
