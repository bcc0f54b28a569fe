"""What describes and makes tables and streams, and DynamoDB's own destination that copies changes to Kinesis."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from simulation.aws.errors import AwsError, NotModelledError, not_found, validation
from simulation.aws.streams.kinesis import Kinesis
from simulation.aws.streams.table_stream import TableStream, TableStreams
from simulation.aws.tables.dynamodb import DynamoDB
from simulation.aws.tables.values import Item

Request = Mapping[str, Any]
Answer = dict[str, Any]

#: AWS, ListTables: names in one answer.
MAX_TABLES: Final = 100
#: Delivers a record of the destination: the stream's name, the partition key, the data.
Deliver = Callable[[str, str, bytes], None]


class ControlPlane:
    """The operations on tables as a whole. What takes AWS seconds to minutes takes no time here."""

    #: The operations of AWS's API that it answers.
    OPERATIONS: Final = (
        "CreateTable",
        "DeleteTable",
        "DescribeTable",
        "ListTables",
        "DescribeTimeToLive",
        "UpdateTimeToLive",
        "DescribeKinesisStreamingDestination",
        "EnableKinesisStreamingDestination",
        "DisableKinesisStreamingDestination",
    )

    def __init__(
        self,
        dynamodb: DynamoDB,
        streams: TableStreams,
        kinesis: Kinesis,
        *,
        clock: Callable[[], float],
        deliver: Deliver,
        stream_shards: int = 1,
    ) -> None:
        self._dynamodb = dynamodb
        self._streams = streams
        self._kinesis = kinesis
        self._clock = clock
        self._deliver = deliver
        self._stream_shards = stream_shards
        #: Tables made so far: each has an id of its own.
        self._tables = 0
        self._expiries: dict[str, str] = {}
        self._destinations: dict[tuple[str, str], str] = {}

    def create_table(self, request: Request) -> Answer:
        specified = request.get("StreamSpecification", {})
        if specified.get("StreamEnabled") and specified.get("StreamViewType") != "NEW_IMAGE":
            raise NotModelledError(f"a stream of {specified.get('StreamViewType')}")
        self.restore_table(request)
        if specified.get("StreamEnabled"):
            self.enable_stream(request["TableName"])
        return {"TableDescription": self._described(request["TableName"])}

    def restore_table(self, request: Request, items: Iterable[Item] = ()) -> None:
        """Make a table that holds items: an id of its own, no stream, no destination. ``request``: as CreateTable's."""
        table = self._dynamodb.create(
            request["TableName"], request["KeySchema"], request["AttributeDefinitions"], items
        )
        self._tables += 1
        table.description = {"TableId": f"table-{self._tables}"} | {
            name: request[name] for name in ("AttributeDefinitions", "KeySchema")
        }

    def enable_stream(self, name: str) -> None:
        """Give a table a stream, as an UpdateTable does; what it takes from now on is on it."""
        table = self._dynamodb.table(name)
        table.description["StreamSpecification"] = {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"}
        label = f"2026-01-01T00:00:{self._clock():09.6f}"
        stream = TableStream(table, self._stream_shards, self._clock, label)
        stream.listeners.append(lambda record: self._copy(table.name, record))
        self._streams.add(stream)

    def delete_table(self, request: Request) -> Answer:
        """With the table go its destinations; its stream stays readable for a day."""
        name = request["TableName"]
        described = self._described(name)
        del self._dynamodb.tables[name]
        self._expiries.pop(name, None)
        self._destinations = {place: status for place, status in self._destinations.items() if place[0] != name}
        return {"TableDescription": described}

    def describe_table(self, request: Request) -> Answer:
        return {"Table": self._described(request["TableName"])}

    def list_tables(self, request: Request) -> Answer:
        after, limit = request.get("ExclusiveStartTableName", ""), request.get("Limit", MAX_TABLES)
        names = sorted(name for name in self._dynamodb.tables if name > after)
        answer: Answer = {"TableNames": names[:limit]}
        if len(names) > limit:
            answer["LastEvaluatedTableName"] = names[limit - 1]
        return answer

    def describe_time_to_live(self, request: Request) -> Answer:
        expiry = self._expiries.get(self._dynamodb.table(request["TableName"]).name)
        described = {"AttributeName": expiry} if expiry is not None else {}
        status = "ENABLED" if expiry is not None else "DISABLED"
        return {"TimeToLiveDescription": {"TimeToLiveStatus": status, **described}}

    def update_time_to_live(self, request: Request) -> Answer:
        """Nothing expires here: AWS may take days to delete an item."""
        name, wanted = self._dynamodb.table(request["TableName"]).name, request["TimeToLiveSpecification"]
        if wanted["Enabled"] == (name in self._expiries):
            raise validation(f"TimeToLive is already {'enabled' if wanted['Enabled'] else 'disabled'}")
        if wanted["Enabled"]:
            self._expiries[name] = wanted["AttributeName"]
        else:
            del self._expiries[name]
        return {"TimeToLiveSpecification": wanted}

    def describe_kinesis_streaming_destination(self, request: Request) -> Answer:
        name = self._dynamodb.table(request["TableName"]).name
        found = [
            {
                "StreamArn": arn,
                "DestinationStatus": status,
                "ApproximateCreationDateTimePrecision": "MICROSECOND",
            }
            for (table, arn), status in self._destinations.items()
            if table == name
        ]
        return {"TableName": name, "KinesisDataStreamDestinations": found}

    def enable_kinesis_streaming_destination(self, request: Request) -> Answer:
        return self._switch(request, "ACTIVE")

    def disable_kinesis_streaming_destination(self, request: Request) -> Answer:
        return self._switch(request, "DISABLED")

    def set_destination(self, request: Request, status: str) -> None:
        """Give the destination a status, as AWS may by itself."""
        self._destinations[request["TableName"], request["StreamArn"]] = status

    def has_destination(self, request: Request) -> bool:
        """Whether the table was ever joined to the stream, in whatever state that is by now."""
        return (request["TableName"], request["StreamArn"]) in self._destinations

    def _switch(self, request: Request, status: str) -> Answer:
        name = self._dynamodb.table(request["TableName"]).name
        self._kinesis.stream({"StreamARN": request["StreamArn"]})
        if self._destinations.get((name, request["StreamArn"]), "DISABLED") == status:
            raise AwsError("ResourceInUseException", f"The destination is {status} already")
        self.set_destination(request, status)
        return {"TableName": name, "StreamArn": request["StreamArn"], "DestinationStatus": status}

    def _described(self, name: str) -> Answer:
        table = self._dynamodb.tables.get(name)
        if table is None:
            raise not_found(f"Table: {name} not found")
        described: Answer = {
            "TableName": name,
            "TableStatus": "ACTIVE",
            "TableArn": f"arn:aws:dynamodb:eu-west-1:000000000000:table/{name}",
            "CreationDateTime": 0.0,
            "ItemCount": table.count,
            "TableSizeBytes": 0,
            **table.description,
        }
        stream = self._streams.of(name)
        if stream is not None and stream.table is table:
            described |= {"LatestStreamArn": stream.arn, "LatestStreamLabel": stream.label}
        return described

    def _copy(self, table: str, record: dict[str, Any]) -> None:
        for (name, arn), status in self._destinations.items():
            if name == table and status == "ACTIVE":
                copied = {key: value for key, value in record.items() if key != "eventVersion"}
                copied |= {"tableName": table, "recordFormat": "application/json", "userIdentity": None}
                change = dict(record["dynamodb"])
                change["ApproximateCreationDateTime"] = int(self._clock() * 1_000_000)
                change["ApproximateCreationDateTimePrecision"] = "MICROSECOND"
                copied["dynamodb"] = change
                key = next(iter(change["Keys"].values()))
                self._deliver(arn.rpartition("/")[2], str(next(iter(key.values()))), json.dumps(copied).encode())
