"""The names and shapes of everything stored, and how a table comes to be."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError, WaiterError

from aws_client.failures import code_of, is_not_found
from ledger.errors import ResourceError
from ledger.runtime.aws import aws_errors

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

#: Seconds to wait for a new table; AWS takes some ten.
TABLE_TIMEOUT: Final = 120


@dataclass(frozen=True, slots=True)
class Names:
    """What belongs to one profile is named after it."""

    profile: str

    @property
    def events(self) -> str:
        """The event store's table."""
        return f"domain-events-{self.profile}"

    @property
    def stream(self) -> str:
        """The Kinesis stream that carries the change records of the events table."""
        return f"domain-events-{self.profile}"

    @property
    def snapshots(self) -> str:
        """One snapshot an account."""
        return f"snapshots-{self.profile}"

    @property
    def commands(self) -> str:
        """The idempotency keys of commands, and what each was answered with."""
        return f"commands-{self.profile}"

    @property
    def leases(self) -> str:
        """The projector's lease table, and its application name in KCL's terms."""
        return f"projector-{self.profile}"

    @property
    def relay(self) -> str:
        """The relay's lease, and how far it has carried each shard of the events table's own stream."""
        return f"relay-{self.profile}"

    @property
    def dead_letters(self) -> str:
        """What could never be projected, until an operator decides."""
        return f"dead-letters-{self.profile}"

    @property
    def projections(self) -> str:
        """One control row a projection: which generation of its table readers see."""
        return f"projections-{self.profile}"

    @property
    def bridge(self) -> str:
        """The bridge's control rows: a person's hold, what the watch has seen, how far a backfill is."""
        return f"bridge-{self.profile}"


@dataclass(frozen=True, slots=True)
class TableSpec:
    """A table on demand: its keys (name to wire type, partition key first) and whether it has a stream.

    ``index``: the name and the keys of a global index over these keys alone. ``expiry``: the attribute with the time,
    in epoch seconds, after which DynamoDB may delete an item.
    """

    name: str
    keys: tuple[tuple[str, str], ...]
    stream: bool = False
    index: tuple[str, tuple[tuple[str, str], ...]] | None = None
    expiry: str | None = None

    def key_schema(self) -> list[dict[str, str]]:
        """The key schema in DynamoDB's words."""
        return _key_schema(self.keys)

    def request(self) -> dict[str, Any]:
        """What CreateTable is asked for."""
        attributes = dict(self.keys) | dict(self.index[1] if self.index else ())
        request: dict[str, Any] = {
            "TableName": self.name,
            "KeySchema": self.key_schema(),
            "AttributeDefinitions": [
                {"AttributeName": name, "AttributeType": kind} for name, kind in attributes.items()
            ],
            "BillingMode": "PAY_PER_REQUEST",
        }
        if self.stream:
            request["StreamSpecification"] = {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"}
        if self.index:
            name, keys = self.index
            projection = {"ProjectionType": "KEYS_ONLY"}
            request["GlobalSecondaryIndexes"] = [
                {"IndexName": name, "KeySchema": _key_schema(keys), "Projection": projection}
            ]
        return request


def specs(names: Names) -> tuple[TableSpec, ...]:
    """Every table that exists once; a projector makes those of its projections' generations when it starts."""
    return (
        TableSpec(names.events, (("aggregateId", "S"), ("sequenceNumber", "N")), stream=True),
        TableSpec(names.snapshots, (("aggregateId", "S"),)),
        TableSpec(names.commands, (("commandId", "S"),), expiry="expiresAt"),
        TableSpec(names.dead_letters, (("id", "S"),)),
        TableSpec(names.projections, (("projection", "S"),)),
        TableSpec(names.bridge, (("id", "S"),)),
    )


def lease_specs(names: Names) -> tuple[TableSpec, ...]:
    """The projector's leases, and what Amazon's KCL keeps beside them, in the shape that KCL 3 gives them.

    Each of them is created at its first use if it is missing; made beforehand, they save KCL's waits.
    """
    return (
        TableSpec(
            names.leases,
            (("leaseKey", "S"),),
            index=("LeaseOwnerToLeaseKeyIndex", (("leaseOwner", "S"), ("leaseKey", "S"))),
        ),
        TableSpec(f"{names.leases}-CoordinatorState", (("key", "S"),)),
        TableSpec(f"{names.leases}-WorkerMetricStats", (("wid", "S"),)),
    )


def relay_spec(names: Names) -> TableSpec:
    """What the relay keeps, in the shape of KCL's leases without their index."""
    return TableSpec(names.relay, (("leaseKey", "S"),))


def ensure_table(dynamodb: "DynamoDBClient", spec: TableSpec) -> bool:
    """Create the table unless it is there, and wait until it is ACTIVE. Safe to repeat and to race.

    Returns whether it was created. Raises ResourceError when a table of that name has other keys, or no NEW_IMAGE
    stream where one is needed, or does not become ACTIVE.
    """
    created = True
    with aws_errors(f"creating table {spec.name}"):
        try:
            dynamodb.create_table(**spec.request())
        except ClientError as error:
            if code_of(error) != "ResourceInUseException":
                raise
            created = False
    try:
        dynamodb.get_waiter("table_exists").wait(
            TableName=spec.name, WaiterConfig={"Delay": 1, "MaxAttempts": TABLE_TIMEOUT}
        )
    except WaiterError as error:
        raise ResourceError(f"table {spec.name} did not become ACTIVE in {TABLE_TIMEOUT} s: {error}") from error
    _check_shape(dynamodb, spec)
    if spec.expiry is not None:
        _ensure_expiry(dynamodb, spec.name, spec.expiry)
    return created


def table_status(dynamodb: "DynamoDBClient", name: str) -> str | None:
    """The table's status, such as ACTIVE; None when there is no such table. Raises TransientError, ResourceError."""
    with aws_errors(f"describing table {name}"):
        try:
            return dynamodb.describe_table(TableName=name)["Table"]["TableStatus"]
        except ClientError as error:
            if is_not_found(error):
                return None
            raise


def _key_schema(keys: tuple[tuple[str, str], ...]) -> list[dict[str, str]]:
    return [{"AttributeName": name, "KeyType": kind} for (name, _), kind in zip(keys, ("HASH", "RANGE"), strict=False)]


def _check_shape(dynamodb: "DynamoDBClient", spec: TableSpec) -> None:
    with aws_errors(f"describing table {spec.name}"):
        table = dynamodb.describe_table(TableName=spec.name)["Table"]
    if table["KeySchema"] != spec.key_schema():
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
