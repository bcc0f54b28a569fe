"""Change records as DynamoDB writes them to Kinesis, made from stored events, for tests that feed a stream by hand."""

import json
import uuid

from ledger.stored_event import StoredEvent


def change_record(event: StoredEvent, table: str, *, name: str = "INSERT") -> bytes:
    """The record of one change to ``table``. AWS, "Using Kinesis Data Streams to capture changes to DynamoDB"."""
    item = event.to_item()
    image = {"OldImage" if name == "REMOVE" else "NewImage": item}
    return json.dumps(
        {
            "awsRegion": "us-east-1",
            "eventID": str(uuid.uuid4()),
            "eventName": name,
            "userIdentity": None,
            "recordFormat": "application/json",
            "tableName": table,
            "dynamodb": {
                "ApproximateCreationDateTime": 1_700_000_000_000_000,
                "ApproximateCreationDateTimePrecision": "MICROSECOND",
                "Keys": {key: item[key] for key in ("aggregateId", "sequenceNumber")},
                **image,
                "SizeBytes": event.size(),
            },
            "eventSource": "aws:dynamodb",
        }
    ).encode()
