"""The bridge as a whole: tables, stream and destination, made and looked at."""

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from ledger.runtime.aws import Clients, aws_errors
from ledger.runtime.settings import Bridge
from ledger.store.tables import Names, TableSpec, ensure_table, lease_specs, relay_spec, specs, table_status
from stream_bridge.provisioning.destination import DestinationState, NativeDestination, describe_destinations
from stream_bridge.provisioning.scaling import settle_new_stream
from stream_bridge.provisioning.shard_usage import ShardUse, hot_shards, measure_use
from stream_bridge.provisioning.stream import StreamPlan, StreamState, check_place, describe_stream, ensure_stream
from stream_bridge.relay.inspection import RelayStatus, await_table_stream, look
from stream_bridge.waiter import StateWaiter

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

MISSING = "MISSING"


@dataclass(frozen=True, slots=True)
class BridgeReport:
    """What stands between writer and projector.

    ``tables`` maps a name to its status, MISSING when it is not there; ``created`` holds what this run made, such as
    "stream domain-events-local". ``use`` is what the shards took, where that was measured. ``mode`` says what must
    carry the records; ``relay`` is None where it was not looked at.
    """

    profile: str
    endpoint: str
    tables: dict[str, str]
    stream: StreamState | None
    destination: DestinationState | None
    created: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    use: list[ShardUse] = field(default_factory=list)
    mode: Bridge = "native"
    relay: RelayStatus | None = None

    @property
    def healthy(self) -> bool:
        """Whether an event that is appended now reaches the stream."""
        return (
            all(status in {"ACTIVE", "UPDATING"} for status in self.tables.values())
            and self.stream is not None
            and self.stream.healthy
            and self._carried
        )

    @property
    def _carried(self) -> bool:
        if self.mode == "relay":
            return self.relay is None or self.relay.healthy
        return self.destination is not None and self.destination.healthy

    def to_json(self) -> dict[str, Any]:
        """The report as ``--json`` prints it."""
        fields = asdict(self)
        mode = fields.pop("mode")
        return {"healthy": self.healthy, **fields, "use": [each.to_json() for each in self.use], "carrier": mode}


def ensure(
    clients: Clients,
    names: Names,
    plan: StreamPlan,
    waiter: StateWaiter,
    *,
    stream_arn: str | None,
    region: str,
    mode: Bridge = "native",
) -> BridgeReport:
    """Create every table and the stream, join them, and wait until all is ACTIVE. Safe to repeat and to race.

    For the relay as ``mode`` no destination is enabled, and one that is there is left as it is.

    Raises ConfigurationError when ``stream_arn`` names a stream that DynamoDB cannot write to (nothing is created
    then), ResourceError when something exists in another shape or does not become ACTIVE, TransientError.
    """
    if stream_arn is not None:
        with aws_errors("asking for this caller's account"):
            account = clients.sts.get_caller_identity()["Account"]
        check_place(stream_arn, name=names.stream, account=account, region=region)
    created = []
    for spec in all_specs(names):
        waiter.report(f"table {spec.name} ...")
        if ensure_table(clients.dynamodb, spec):
            created.append(f"table {spec.name}")
    waiter.report(f"stream {names.stream} ...")
    stream, is_new = ensure_stream(clients.kinesis, names.stream, plan, waiter)
    if is_new:
        created.append(f"stream {names.stream}")
        stream = settle_new_stream(clients.kinesis, names.stream, plan, waiter)
    warnings = plan.mismatch(stream)
    for mismatch in warnings:
        waiter.report(f"warning: {mismatch}")
    if mode == "relay":
        waiter.report(f"stream of table {names.events} ...")
        await_table_stream(clients, names.events, waiter)
        state, others = _destination(clients.dynamodb, names)
        for warning in others + _both(state, names):
            warnings.append(warning)
            waiter.report(f"warning: {warning}")
    else:
        waiter.report(f"streaming destination of {names.events} ...")
        destination = NativeDestination(clients.dynamodb, names.events, stream.arn, waiter)
        state = destination.ensure()
        warnings += destination.warnings
    return BridgeReport(
        profile=names.profile,
        endpoint=clients.endpoint,
        tables=_table_statuses(clients.dynamodb, names),
        stream=stream,
        destination=state,
        created=created,
        warnings=warnings,
        mode=mode,
    )


def status(
    clients: Clients, names: Names, *, sample: float = 0, mode: Bridge = "native", failover_time: float = 10
) -> BridgeReport:
    """Look at everything once, change nothing. ``sample``: over how many seconds the shards' use is measured, 0: not.

    With the relay as ``mode``, its lease is watched until it moves, for at most ``failover_time`` seconds.

    Raises TransientError, ResourceError.
    """
    tables = _table_statuses(clients.dynamodb, names)
    stream = describe_stream(clients.kinesis, names.stream)
    destination, warnings = None, list[str]()
    relay = RelayStatus(None, alive=False, lag_seconds=0.0) if mode == "relay" else None
    if tables[names.events] != MISSING:
        destination, warnings = _destination(clients.dynamodb, names)
        if mode == "relay" and tables[names.relay] != MISSING:
            relay = look(clients, names, failover_time)
            warnings += _both(destination, names)
    use = measure_use(clients.kinesis, names.stream, sample) if stream is not None and sample else []
    return BridgeReport(
        profile=names.profile,
        endpoint=clients.endpoint,
        tables=tables,
        stream=stream,
        destination=destination,
        warnings=warnings + (hot_shards(use, stream.mode) if stream is not None else []),
        use=use,
        mode=mode,
        relay=relay,
    )


def _destination(dynamodb: "DynamoDBClient", names: Names) -> tuple[DestinationState | None, list[str]]:
    """The destination to our stream, and a warning for each other one."""
    ours, warnings = None, []
    for found in describe_destinations(dynamodb, names.events):
        if found.stream_arn.endswith(f":stream/{names.stream}"):
            ours = found
        else:
            warnings.append(f"table {names.events} also has a destination {found.stream_arn}: {found.status}")
    return ours, warnings


def _both(destination: DestinationState | None, names: Names) -> list[str]:
    if destination is None or not destination.healthy:
        return []
    return [
        f"the streaming destination of {names.events} is {destination.status} although the relay is to carry "
        f"(KINFOLD_BRIDGE=relay): every record comes twice and in no order, which is harmless to the projector; end it "
        f"with `aws dynamodb disable-kinesis-streaming-destination --table-name {names.events} --stream-arn "
        f"{destination.stream_arn}`"
    ]


def all_specs(names: Names) -> tuple[TableSpec, ...]:
    """Every table that `ensure` makes."""
    return (*specs(names), *lease_specs(names), relay_spec(names))


def _table_statuses(dynamodb: "DynamoDBClient", names: Names) -> dict[str, str]:
    return {spec.name: table_status(dynamodb, spec.name) or MISSING for spec in all_specs(names)}
