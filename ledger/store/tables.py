"""What belongs to one profile is named here; the event store's tables; and how a table is made."""

import time
from typing import TYPE_CHECKING, Final

from botocore.exceptions import ClientError

from aws_client.tables import TableSpec, create_table, find_status, key_schema
from ledger.errors import ResourceError
from ledger.runtime.aws import aws_errors

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

#: Seconds to wait for a new table; AWS takes some ten.
TABLE_TIMEOUT: Final = 120
_LOOK: Final = 1.0


class Names:
    """What belongs to one profile is named after it: tables and the stream."""

    def __init__(self, profile: str, events: str | None = None) -> None:
        """``events``: the events table, where it was restored under another name (``Settings.events_table``)."""
        self.profile = profile
        #: The Kinesis stream that carries the change records of the event store's table, and that table.
        self.stream = f"domain-events-{profile}"
        self.events = events or self.stream
        #: One snapshot an aggregate.
        self.snapshots = f"snapshots-{profile}"
        #: The idempotency keys of commands, and what each was answered with.
        self.commands = f"commands-{profile}"
        #: The projector's lease table, and its application name in KCL's terms.
        self.leases = f"projector-{profile}"
        #: The relay's lease, and how far it has carried each shard of the events table's own stream.
        self.relay = f"relay-{profile}"
        #: What could never be projected, until an operator decides.
        self.dead_letters = f"dead-letters-{profile}"
        #: One control row a projection: which generation of its table readers see.
        self.projections = f"projections-{profile}"
        #: The bridge's control rows: a person's hold, what the watch has seen, how far a backfill is.
        self.bridge = f"bridge-{profile}"
        #: What operators did.
        self.audit = f"audit-{profile}"


def store_specs(names: Names) -> tuple[TableSpec, ...]:
    """The event store's own tables: events, snapshots and idempotency keys."""
    return (
        TableSpec(names.events, (("aggregateId", "S"), ("sequenceNumber", "N")), stream=True),
        TableSpec(names.snapshots, (("aggregateId", "S"),)),
        TableSpec(names.commands, (("commandId", "S"),), expiry="expiresAt"),
    )


def ensure_table(dynamodb: "DynamoDBClient", spec: TableSpec) -> bool:
    """Create the table unless it is there, and wait until it is ACTIVE. Safe to repeat and to race.

    Returns whether it was created. Raises ResourceError when a table of that name has other keys, or no NEW_IMAGE
    stream where one is needed, or does not become ACTIVE; ThrottledError or EndpointError.
    """
    with aws_errors(f"creating table {spec.name}"):
        created = create_table(dynamodb, spec)
    _wait_until_active(dynamodb, spec.name)
    _check_shape(dynamodb, spec)
    if spec.expiry is not None:
        _ensure_expiry(dynamodb, spec.name, spec.expiry)
    return created


def table_status(dynamodb: "DynamoDBClient", name: str) -> str | None:
    """The table's status, such as ACTIVE; None when there is no such table. Raises TransientError, ResourceError."""
    with aws_errors(f"describing table {name}"):
        return find_status(dynamodb, name)


def _wait_until_active(dynamodb: "DynamoDBClient", name: str) -> None:
    deadline = time.monotonic() + TABLE_TIMEOUT
    while (status := table_status(dynamodb, name)) != "ACTIVE":
        if time.monotonic() >= deadline:
            raise ResourceError(f"table {name} did not become ACTIVE in {TABLE_TIMEOUT} s: it is {status or 'missing'}")
        time.sleep(_LOOK)


def _check_shape(dynamodb: "DynamoDBClient", spec: TableSpec) -> None:
    with aws_errors(f"describing table {spec.name}"):
        table = dynamodb.describe_table(TableName=spec.name)["Table"]
    if table["KeySchema"] != key_schema(spec.keys):
        raise ResourceError(
            f"table {spec.name} exists with other keys ({table['KeySchema']}); "
            f"remove it or choose another KINFOLD_PROFILE"
        )
    view = table.get("StreamSpecification", {}).get("StreamViewType")
    if spec.stream and view not in {"NEW_IMAGE", "NEW_AND_OLD_IMAGES"}:
        raise ResourceError(f"table {spec.name} has no NEW_IMAGE stream (it has {view}); enable one on the table")


def _ensure_expiry(dynamodb: "DynamoDBClient", table: str, attribute: str) -> None:
    with aws_errors(f"enabling the time to live of table {table}"):
        found = dynamodb.describe_time_to_live(TableName=table)["TimeToLiveDescription"]
        if found.get("TimeToLiveStatus") in {"ENABLED", "ENABLING"}:
            if found.get("AttributeName") != attribute:
                raise ResourceError(
                    f"table {table} lets items expire by {found.get('AttributeName')}, not by {attribute}"
                )
            return
        try:
            dynamodb.update_time_to_live(
                TableName=table, TimeToLiveSpecification={"Enabled": True, "AttributeName": attribute}
            )
        except ClientError as error:
            # Another process that ensures the table at the same moment was faster.
            if "already enabled" not in str(error):
                raise
