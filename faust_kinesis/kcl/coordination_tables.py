"""What KCL keeps beside the leases: who leads, and how busy each worker is.

`{application}-CoordinatorState` holds the leader's lock in the row `Leader`; `{application}-WorkerMetricStats` one row
a worker, which its KCL writes every few seconds. Made beforehand, they save KCL's own waits of ten seconds each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from aws_client.failures import code_of, is_condition_failed, is_not_found

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_LEADER = "Leader"


class CoordinationTables:
    """The two tables of an application. Its methods block; DynamoDB's errors come as they are."""

    def __init__(self, dynamodb: DynamoDBClient, application: str) -> None:
        self._dynamodb = dynamodb
        self.coordinator = f"{application}-CoordinatorState"
        self.workers = f"{application}-WorkerMetricStats"

    def missing(self) -> list[tuple[str, str]]:
        """Name and partition key of each table that is not there."""
        return [(name, key) for name, key in self._keys() if self._status(name) is None]

    def are_active(self) -> bool:
        """Whether both can be used."""
        return all(self._status(name) in {"ACTIVE", "UPDATING"} for name, _ in self._keys())

    def create(self, name: str, key: str) -> None:
        """Create one, billed by request. No error when another worker was faster."""
        try:
            self._dynamodb.create_table(
                TableName=name,
                BillingMode="PAY_PER_REQUEST",
                AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"}],
                KeySchema=[{"AttributeName": key, "KeyType": "HASH"}],
            )
        except ClientError as error:
            if code_of(error) != "ResourceInUseException":
                raise

    def release_leadership(self, worker_id: str) -> bool:
        """Delete the leader's lock if it is this worker's own; whether it was.

        KCL would wait two minutes for the lock of a run that was killed, even for its own. Call it only while no
        daemon of this worker runs.
        """
        try:
            self._dynamodb.delete_item(
                TableName=self.coordinator,
                Key={"key": {"S": _LEADER}},
                ConditionExpression="ownerName = :me",
                ExpressionAttributeValues={":me": {"S": worker_id}},
            )
        except ClientError as error:
            if not is_condition_failed(error):
                raise
            return False
        return True

    def retire(self, worker_id: str) -> None:
        """Delete what KCL last reported of a worker, after its end.

        A leader takes a worker for alive for two reports, ten seconds, and would give it the very leases it left.
        """
        self._dynamodb.delete_item(TableName=self.workers, Key={"wid": {"S": worker_id}})

    def reporting(self, since: float) -> set[str]:
        """The workers whose KCL has reported since that moment (epoch seconds, by the clocks of both machines)."""
        pages = self._dynamodb.get_paginator("scan").paginate(TableName=self.workers, ConsistentRead=True)
        rows = (row for page in pages for row in page["Items"])
        return {row["wid"]["S"] for row in rows if int(row.get("lut", {}).get("N", "0")) >= int(since)}

    def last_sign_of(self, worker_id: str) -> str | None:
        """When KCL last reported this worker, as it writes it; None before the first time."""
        row = self._dynamodb.get_item(TableName=self.workers, Key={"wid": {"S": worker_id}}, ConsistentRead=True)
        return row.get("Item", {}).get("lut", {}).get("N")

    def _keys(self) -> tuple[tuple[str, str], tuple[str, str]]:
        return (self.coordinator, "key"), (self.workers, "wid")

    def _status(self, name: str) -> str | None:
        try:
            return self._dynamodb.describe_table(TableName=name)["Table"]["TableStatus"]
        except ClientError as error:
            if is_not_found(error):
                return None
            raise
