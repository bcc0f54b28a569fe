"""KCL's tables beside the leases: who is the leader, and how busy each worker is.

`{application}-CoordinatorState` holds the leader's lock in the row `Leader`; `{application}-WorkerMetricStats` one row
a worker, which its KCL writes every few seconds. Made beforehand, they save KCL's own waits of ten seconds each.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aws_client.tables import TableSpec, write_if
from faust_kinesis.leases.table import lease_spec

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_LEADER = "Leader"


def kcl_specs(application: str) -> tuple[TableSpec, TableSpec, TableSpec]:
    """Every table that KCL 3 keeps for an application: its leases, the leader's lock, the workers' reports.

    A worker creates each that is missing at its first use; made beforehand, they save KCL's waits.
    """
    return (
        lease_spec(application),
        TableSpec(f"{application}-CoordinatorState", (("key", "S"),)),
        TableSpec(f"{application}-WorkerMetricStats", (("wid", "S"),)),
    )


@dataclass(frozen=True, slots=True)
class LeaderLock:
    """The lock as one leader last renewed it."""

    owner: str
    version: str


class CoordinationTables:
    """The two tables beside the leases. Its methods block; DynamoDB's errors come as they are."""

    def __init__(self, dynamodb: DynamoDBClient, application: str) -> None:
        self._dynamodb = dynamodb
        _, self.coordinator, self.workers = (spec.name for spec in kcl_specs(application))

    def release_leadership(self, worker_id: str) -> bool:
        """Delete the leader's lock if it is this worker's own; whether it was.

        KCL would wait two minutes for the lock of a killed run, even its own. Call it only while no
        daemon of this worker runs.
        """
        return write_if(
            self._dynamodb.delete_item,
            TableName=self.coordinator,
            Key={"key": {"S": _LEADER}},
            ConditionExpression="ownerName = :me",
            ExpressionAttributeValues={":me": {"S": worker_id}},
        )

    def leader_lock(self) -> LeaderLock | None:
        """The lock as it is; None where nobody leads."""
        key = {"key": {"S": _LEADER}}
        row = self._dynamodb.get_item(TableName=self.coordinator, Key=key, ConsistentRead=True).get("Item", {})
        owner, version = (row.get(name, {}).get("S") for name in ("ownerName", "recordVersionNumber"))
        return LeaderLock(owner, version) if owner is not None and version is not None else None

    def clear_lock(self, lock: LeaderLock) -> bool:
        """Delete the lock if it was not renewed since; whether it was deleted.

        A leader that is alive after all asks for its lock before it assigns anything, and finds that it has none.
        """
        return write_if(
            self._dynamodb.delete_item,
            TableName=self.coordinator,
            Key={"key": {"S": _LEADER}},
            ConditionExpression="ownerName = :owner AND recordVersionNumber = :version",
            ExpressionAttributeValues={":owner": {"S": lock.owner}, ":version": {"S": lock.version}},
        )

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
