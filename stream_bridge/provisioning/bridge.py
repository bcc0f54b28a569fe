"""The bridge as a whole: provisions tables, stream and destination, and reports their state."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from aws_client.tables import TableSpec
from faust_kinesis.leases.table import lease_spec
from ledger.holds import Hold, Holds
from ledger.runtime.aws import Clients, aws_errors
from ledger.runtime.cli_output import to_json
from ledger.runtime.settings import Bridge
from ledger.store.errors import TableReplacedError
from ledger.store.table_identity import TableIdentities
from ledger.store.tables import Names, ensure_table, table_status
from stream_bridge.dynamodb_stream import wait_until_enabled
from stream_bridge.provisioning.destination import DestinationState, NativeDestination, find_destination
from stream_bridge.provisioning.scaling import settle_new_stream
from stream_bridge.provisioning.shard_usage import ShardUse, hot_shards, measure_use
from stream_bridge.provisioning.stream import StreamPlan, StreamState, check_place, describe_stream, ensure_stream
from stream_bridge.waiter import StateWaiter

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

MISSING: Final = "MISSING"
#: Seconds that a change may wait for the relay before somebody should look why.
LATE: Final = 60.0


@dataclass(frozen=True, slots=True)
class RelayStatus:
    """``holder`` has the lease, None: nobody; ``alive``: it was seen to renew it.

    ``lag_seconds``: age of the oldest change that no checkpoint covers, 0 when there is none.
    """

    holder: str | None = None
    alive: bool = False
    lag_seconds: float = 0.0

    @property
    def healthy(self) -> bool:
        """Whether an event that is appended now reaches the stream soon."""
        return self.alive and self.lag_seconds < LATE


@dataclass(frozen=True, slots=True)
class BridgeReport:
    """What stands between writer and projector.

    ``tables`` maps a name to its status, MISSING when it is not there; ``created`` holds what this run made, such as
    "stream domain-events-local". ``use`` is the load of the shards, where that was measured. ``mode`` says what is to
    carry the records; ``relay`` is None where it was not looked at. ``hold``: an operator's hold on the watch.
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
    #: Why the events table is not the one that everything was derived from; None when it is.
    replaced: str | None = None
    hold: Hold | None = None

    @property
    def healthy(self) -> bool:
        """Whether an event that is appended now reaches the stream."""
        return (
            self.replaced is None
            and all(status in {"ACTIVE", "UPDATING"} for status in self.tables.values())
            and self.stream is not None
            and self.stream.healthy
            and self.carried
        )

    @property
    def carried(self) -> bool:
        """Whether what the table takes is carried to the stream."""
        if self.mode == "relay":
            return self.relay is None or self.relay.healthy
        return self.destination is not None and self.destination.healthy

    def to_json(self) -> dict[str, Any]:
        """The report as ``--json`` prints it, ``mode`` under its public name ``carrier``."""
        fields = to_json(self)
        mode = fields.pop("mode")
        return {"healthy": self.healthy, **fields, "use": [each.to_json() for each in self.use], "carrier": mode}


def ensure(
    clients: Clients,
    names: Names,
    tables: Sequence[TableSpec],
    plan: StreamPlan,
    waiter: StateWaiter,
    *,
    stream_arn: str | None,
    region: str,
    mode: Bridge = "native",
) -> BridgeReport:
    """Create ``tables`` and the stream, join them, and wait until all is ACTIVE. Idempotent, also under concurrency.

    With ``mode`` "relay" no destination is enabled, and an existing one is left as it is.

    Raises ConfigurationError when ``stream_arn`` names a stream that DynamoDB cannot write to (nothing is created
    then), ResourceError when something exists in another shape or does not become ACTIVE, TransientError.
    """
    if stream_arn is not None:
        with aws_errors("asking for this caller's account"):
            account = clients.sts.get_caller_identity()["Account"]
        check_place(stream_arn, name=names.stream, account=account, region=region)
    created = []
    for spec in tables:
        waiter.report(f"table {spec.name} ...")
        if ensure_table(clients.dynamodb, spec):
            created.append(f"table {spec.name}")
    replaced = _replaced(clients, names, begin=any(spec.name == names.projections for spec in tables))
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
        wait_until_enabled(clients, names.events, waiter)
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
        tables=_statuses(clients.dynamodb, tables),
        stream=stream,
        destination=state,
        created=created,
        warnings=warnings,
        mode=mode,
        replaced=replaced,
    )


def status(
    clients: Clients,
    names: Names,
    tables: Sequence[TableSpec],
    *,
    sample: float = 0,
    relay: Callable[[], RelayStatus] | None = None,
) -> BridgeReport:
    """Report on everything once, change nothing. ``sample``: seconds over which the shards' load is measured, 0: not.

    ``relay`` looks at the relay, where that is to carry the records; None: the native destination is.

    Raises TransientError, ResourceError.
    """
    statuses = _statuses(clients.dynamodb, tables)
    stream = describe_stream(clients.kinesis, names.stream)
    destination, warnings = None, list[str]()
    standing = RelayStatus() if relay else None
    if statuses[names.events] != MISSING:
        destination, warnings = _destination(clients.dynamodb, names)
        if relay is not None and statuses[names.relay] != MISSING:
            standing = relay()
            warnings += _both(destination, names)
    hold = Holds(clients.dynamodb, names.bridge).find() if statuses[names.bridge] != MISSING else None
    if hold is not None:
        warnings.append(f"the watch is {hold}; it repairs nothing until `kinfold bridge hold --lift`")
    use = measure_use(clients.kinesis, names.stream, sample) if stream is not None and sample else []
    return BridgeReport(
        profile=names.profile,
        endpoint=clients.endpoint,
        tables=statuses,
        stream=stream,
        destination=destination,
        warnings=warnings + (hot_shards(use, stream.mode) if stream is not None else []),
        use=use,
        mode="relay" if relay else "native",
        relay=standing,
        replaced=_replaced(clients, names) if statuses[names.events] != MISSING else None,
        hold=hold,
    )


def _replaced(clients: Clients, names: Names, *, begin: bool = False) -> str | None:
    """Why the events table is not the one that everything was derived from. ``begin``: record it, if none is."""
    identities = TableIdentities(clients.dynamodb, names)
    if begin:
        identities.begin()
    try:
        identities.check()
    except TableReplacedError as error:
        return str(error)
    return None


def _destination(dynamodb: "DynamoDBClient", names: Names) -> tuple[DestinationState | None, list[str]]:
    """The destination to our stream, and a warning for each other one."""
    ours, others = find_destination(dynamodb, names.events, names.stream)
    return ours, [f"table {names.events} also has a destination {each.stream_arn}: {each.status}" for each in others]


def _both(destination: DestinationState | None, names: Names) -> list[str]:
    if destination is None or not destination.healthy:
        return []
    return [
        f"the streaming destination of {names.events} is {destination.status} although the relay is to carry "
        f"(KINFOLD_BRIDGE=relay): every record comes twice and in no order, which is harmless to the projector; end it "
        f"with `aws dynamodb disable-kinesis-streaming-destination --table-name {names.events} --stream-arn "
        f"{destination.stream_arn}`"
    ]


def bridge_specs(names: Names) -> tuple[TableSpec, ...]:
    """The bridge's own tables: its control rows, and the relay's leases, which need no index."""
    return TableSpec(names.bridge, (("id", "S"),)), replace(lease_spec(names.relay), index=None)


def _statuses(dynamodb: "DynamoDBClient", tables: Sequence[TableSpec]) -> dict[str, str]:
    return {spec.name: table_status(dynamodb, spec.name) or MISSING for spec in tables}
