"""Change records for tests that feed a stream by hand: as they should be, and as no event store would cause them."""

import json

from ledger.store.change_record import encode
from ledger.store.stored_event import StoredEvent


def change_record(event: StoredEvent, table: str, *, name: str = "INSERT") -> bytes:
    """The record of one change to ``table``. AWS, "Using Kinesis Data Streams to capture changes to DynamoDB"."""
    record = json.loads(encode(event, table, "us-east-1"))
    record["eventName"] = name
    if name == "REMOVE":
        record["dynamodb"]["OldImage"] = record["dynamodb"].pop("NewImage")
    return json.dumps(record).encode()
