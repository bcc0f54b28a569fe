"""KCL's tables beside the leases: who is the leader, and how busy each worker is.

`{application}-CoordinatorState` holds the leader's lock in the row `Leader`; `{application}-WorkerMetricStats` one row
a worker, which its KCL writes every few seconds. Made beforehand, they save KCL's own waits of ten seconds each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from aws_client.failures import is_condition_failed
from aws_client.tables import TableSpec, create_table, find_status
from faust_kinesis.leases.table import lease_spec

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_LEADER = "Leader"


def kcl_specs(application: str) -> tuple[TableSpec, ...]:
    """Every table that KCL 3 keeps for an application: its leases, and what stands beside them.

    A worker creates each that is missing at its first use; made beforehand, they save KCL's waits.
    """
    return (lease_spec(application), *_specs(application))


def _specs(application: str) -> tuple[TableSpec, TableSpec]:
    return (
        TableSpec(f"{application}-CoordinatorState", (("key", "S"),)),
        TableSpec(f"{application}-WorkerMetricStats", (("wid", "S"),)),
    )


class CoordinationTables:
    """The two tables of an application. Its methods block; DynamoDB's errors come as they are."""

    def __init__(self, dynamodb: DynamoDBClient, application: str) -> None:
        self._dynamodb = dynamodb
        self._specs = _specs(application)
        self.coordinator, self.workers = (spec.name for spec in self._specs)

    def missing(self) -> list[TableSpec]:
        """The tables that are not there."""
        return [spec for spec in self._specs if find_status(self._dynamodb, spec.name) is None]

    def are_active(self) -> bool:
        """Whether both can be used."""
        return all(find_status(self._dynamodb, spec.name) in {"ACTIVE", "UPDATING"} for spec in self._specs)

    def create(self, spec: TableSpec) -> None:
        """Create one, billed by request. No error when another worker was faster."""
        create_table(self._dynamodb, spec)

    def release_leadership(self, worker_id: str) -> bool:
        """Delete the leader's lock if it is this worker's own; whether it was.

        KCL would wait two minutes for the lock of a killed run, even its own. Call it only while no
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
        """Delete a worker's last KCL report, after its end.

        A leader considers a worker alive for two reports, ten seconds, and would assign it the very leases it left.
        """
        self._dynamodb.delete_item(TableName=self.workers, Key={"wid": {"S": worker_id}})

    def reporting(self, since: float) -> set[str]:
        """The workers whose KCL has reported since that time (epoch seconds, by the clocks of both machines)."""
        pages = self._dynamodb.get_paginator("scan").paginate(TableName=self.workers, ConsistentRead=True)
        rows = (row for page in pages for row in page["Items"])
        return {row["wid"]["S"] for row in rows if int(row.get("lut", {}).get("N", "0")) >= int(since)}

    def last_sign_of(self, worker_id: str) -> str | None:
        """When KCL last reported this worker, in its own format; None before the first report."""
        row = self._dynamodb.get_item(TableName=self.workers, Key={"wid": {"S": worker_id}}, ConsistentRead=True)
        return row.get("Item", {}).get("lut", {}).get("N")
