"""Events tables that are lost and restored."""

from collections.abc import Callable

import pytest

from kinfold.restore import restore
from ledger.runtime.aws import Clients
from ledger.store.tables import Names, ensure_table, store_specs

#: Brings the table back as it was when each account had at most so many events; 0: empty.
MakeAnew = Callable[[int], None]


@pytest.fixture(autouse=True)
def noticed_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """No service of these tests looks by itself."""
    monkeypatch.setattr(restore, "NOTICED_BY_ALL", 0.2)


@pytest.fixture
def make_anew(clients: Clients, ledger_tables: Names) -> MakeAnew:
    def make_anew(versions: int) -> None:
        dynamodb, table = clients.dynamodb, ledger_tables.events
        pages = dynamodb.get_paginator("scan").paginate(TableName=table, ConsistentRead=True)
        items = [item for page in pages for item in page["Items"] if int(item["sequenceNumber"]["N"]) <= versions]
        dynamodb.delete_table(TableName=table)
        dynamodb.get_waiter("table_not_exists").wait(TableName=table, WaiterConfig={"Delay": 1})
        ensure_table(dynamodb, store_specs(ledger_tables)[0])
        for item in items:
            dynamodb.put_item(TableName=table, Item=item)

    return make_anew
