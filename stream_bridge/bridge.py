"""The bridge as a whole: tables, stream and destination, made and looked at."""

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from ledger.aws import Clients, aws_errors, error_code
from ledger.tables import Names, TableSpec, ensure_table, lease_specs, specs
from stream_bridge.destination import DestinationState, NativeDestination, describe_destinations
from stream_bridge.patience import Patience
from stream_bridge.scaling import settle_new_stream
from stream_bridge.stream import StreamPlan, StreamState, check_place, describe_stream, ensure_stream
from stream_bridge.usage import ShardUse, hot_shards, measure_use

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

MISSING = "MISSING"


@dataclass(frozen=True, slots=True)
class BridgeReport:
    """What stands between writer and projector.

    ``tables`` maps a name to its status, MISSING when it is not there; ``created`` holds what this run made, such as
    "stream domain-events-local". ``use`` is what the shards took, where that was measured.
    """

    profile: str
    endpoint: str
    tables: dict[str, str]
    stream: StreamState | None
    destination: DestinationState | None
    created: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    use: list[ShardUse] = field(default_factory=list)

    @property
    def healthy(self) -> bool:
        """Whether an event that is appended now reaches the stream."""
        return (
            all(status in {"ACTIVE", "UPDATING"} for status in self.tables.values())
            and self.stream is not None
            and self.stream.healthy
            and self.destination is not None
            and self.destination.healthy
        )

    def to_json(self) -> dict[str, Any]:
        """The report as ``--json`` prints it."""
        return {"healthy": self.healthy, **asdict(self), "use": [each.to_json() for each in self.use]}


def ensure(
    clients: Clients, names: Names, plan: StreamPlan, patience: Patience, *, stream_arn: str | None, region: str
) -> BridgeReport:
    """Create every table and the stream, join them, and wait until all is ACTIVE. Safe to repeat and to race.

    Raises ConfigurationError when ``stream_arn`` names a stream that DynamoDB cannot write to (nothing is created
    then), ResourceError when something exists in another shape or does not become ACTIVE, TransientError.
    """
    if stream_arn is not None:
        with aws_errors("asking for this caller's account"):
            account = clients.sts.get_caller_identity()["Account"]
        check_place(stream_arn, name=names.stream, account=account, region=region)
    created = []
    for spec in _all_specs(names):
        patience.tell(f"table {spec.name} ...")
        if ensure_table(clients.dynamodb, spec):
            created.append(f"table {spec.name}")
    patience.tell(f"stream {names.stream} ...")
    stream, is_new = ensure_stream(clients.kinesis, names.stream, plan, patience)
    if is_new:
        created.append(f"stream {names.stream}")
        stream = settle_new_stream(clients.kinesis, names.stream, plan, patience)
    warnings = plan.mismatch(stream)
    for mismatch in warnings:
        patience.tell(f"warning: {mismatch}")
    patience.tell(f"streaming destination of {names.events} ...")
    destination = NativeDestination(clients.dynamodb, names.events, stream.arn, patience)
    state = destination.ensure()
    return BridgeReport(
        profile=names.profile,
        endpoint=clients.endpoint,
        tables=_table_statuses(clients.dynamodb, names),
        stream=stream,
        destination=state,
        created=created,
        warnings=warnings + destination.warnings,
    )


def status(clients: Clients, names: Names, *, sample: float = 0) -> BridgeReport:
    """Look at everything once, change nothing. ``sample``: over how many seconds the shards' use is measured, 0: not.

    Raises TransientError, ResourceError.
    """
    tables = _table_statuses(clients.dynamodb, names)
    stream = describe_stream(clients.kinesis, names.stream)
    destination = None
    warnings = []
    if tables[names.events] != MISSING:
        for found in describe_destinations(clients.dynamodb, names.events):
            if found.stream_arn.endswith(f":stream/{names.stream}"):
                destination = found
            else:
                warnings.append(f"table {names.events} also has a destination {found.stream_arn}: {found.status}")
    use = measure_use(clients.kinesis, names.stream, sample) if stream is not None and sample else []
    return BridgeReport(
        profile=names.profile,
        endpoint=clients.endpoint,
        tables=tables,
        stream=stream,
        destination=destination,
        warnings=warnings + (hot_shards(use, stream.mode) if stream is not None else []),
        use=use,
    )


def _all_specs(names: Names) -> tuple[TableSpec, ...]:
    return specs(names) + lease_specs(names)


def _table_statuses(dynamodb: "DynamoDBClient", names: Names) -> dict[str, str]:
    return {spec.name: _table_status(dynamodb, spec.name) for spec in _all_specs(names)}


def _table_status(dynamodb: "DynamoDBClient", table: str) -> str:
    with aws_errors(f"describing table {table}"):
        try:
            found: str = dynamodb.describe_table(TableName=table)["Table"]["TableStatus"]
        except ClientError as error:
            if error_code(error) == "ResourceNotFoundException":
                return MISSING
            raise
    return found
