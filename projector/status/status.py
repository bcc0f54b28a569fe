"""The projector's status as an operator sees it from outside; nothing is changed."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from aws_client.failures import is_not_found
from faust_kinesis.leases.table import Lease, LeaseTable
from faust_kinesis.leases.topology import list_shards, missing_leases
from ledger.errors import ResourceError
from ledger.holds import Hold, Holds
from ledger.runtime.aws import Clients, aws_errors
from ledger.runtime.cli_output import to_json
from ledger.runtime.settings import Bridge
from ledger.store.errors import TableReplacedError
from ledger.store.resumable_job import JobProgress
from ledger.store.tables import Names
from projector.components import Components
from projector.projection import Projection
from projector.rebuild.build_lease import BuildStore
from projector.status.lag import ShardLag, oldest_unread
from projector.status.silent_leases import WatchedLeases, watch_leases

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_kinesis import KinesisClient

#: Shares of the stream's retention after which an unread record is a warning, and an error: at 1 the stream loses it.
WARN_AT: Final = 0.5
FAIL_AT: Final = 0.8
_FLOWING: Final = frozenset({"ACTIVE", "UPDATING"})


@dataclass(frozen=True, slots=True)
class StreamShardStatus:
    """One shard: its reader, checkpoint and lag. ``alive``: its owner was seen to renew the lease.

    ``unread``: age of its oldest unread record; ``used``: the same as a share of the stream's retention.
    """

    shard_id: str
    owner: str | None
    alive: bool
    checkpoint: str
    ended: bool
    lag: ShardLag
    unread: timedelta
    used: float

    def to_json(self) -> dict[str, Any]:
        """The shard as operators see it; times are ISO 8601."""
        oldest = self.lag.arrived_at
        return {
            "shardId": self.shard_id,
            "owner": self.owner,
            "alive": self.alive,
            "checkpoint": self.checkpoint,
            "ended": self.ended,
            "millisBehindLatest": self.lag.millis_behind_latest,
            "oldestUnreadAt": oldest.isoformat() if oldest else None,
            "retentionUsed": round(self.used, 4),
        }


@dataclass(frozen=True, slots=True)
class ProjectionStatus:
    """One projection's generations; ``phase`` and progress of the build under way, or interrupted, if there is one."""

    name: str
    active: int
    fed: tuple[int, ...]
    building: int | None
    phase: str | None
    build: JobProgress | None = None


@dataclass(slots=True)
class Status:
    """The whole status. ``errors`` need action before something is lost; ``warnings`` may become errors.

    ``destination``: the status of the native one, None where there is none; ``mode`` says whether one is to carry the
    records. ``hold``: an operator's, under which nothing repairs the destination. ``watched``: seconds for which the
    leases were looked at.
    """

    profile: str
    stream: str
    retention_hours: int
    mode: Bridge
    destination: str | None
    hold: Hold | None
    watched: float
    open_dead_letters: int
    halted_aggregates: int
    shards: list[StreamShardStatus]
    projections: list[ProjectionStatus]
    warnings: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    @property
    def oldest_unread(self) -> timedelta:
        """The age of the oldest record that no projector has read."""
        return max((each.unread for each in self.shards), default=timedelta())

    @property
    def verdict(self) -> str:
        """Whether all is well, in a line."""
        found = [_counted(self.errors, "error"), _counted(self.warnings, "warning")]
        return f"not healthy: {', '.join(filter(None, found))}" if any(found) else "healthy"

    def to_json(self) -> dict[str, Any]:
        """The status as ``--json`` prints it."""
        return {
            "healthy": not (self.errors or self.warnings),
            "profile": self.profile,
            "stream": self.stream,
            "retentionHours": self.retention_hours,
            "carrier": self.mode,
            "destination": self.destination,
            "hold": to_json(self.hold),
            "openDeadLetters": self.open_dead_letters,
            "haltedAggregates": self.halted_aggregates,
            "shards": [shard.to_json() for shard in self.shards],
            "projections": to_json(self.projections),
            "warnings": self.warnings,
            "errors": self.errors,
        }


def read_status(
    components: Components,
    projections: Iterable[Projection[Any]],
    *,
    mode: Bridge,
    watch: float,
    report: Callable[[str], None] = lambda _: None,
    now: datetime | None = None,
) -> Status:
    """Read a few records per shard, the control rows and the open dead letters, and watch the leases.

    ``mode``: what is to carry the records to the stream. ``watch``: seconds within which a living reader writes to its
    lease; ``report`` gets a line now and then meanwhile.

    Raises ThrottledError, EndpointError, or ResourceError when there is no stream or table.
    """
    names, kinesis = components.names, components.clients.kinesis
    hours = retention_hours(kinesis, names.stream)
    letters = list(components.letters.list(state="open"))
    halted = {letter.letter.aggregate_id for letter in letters if letter.letter.aggregate_id is not None}
    status = Status(
        profile=names.profile,
        stream=names.stream,
        retention_hours=hours,
        mode=mode,
        destination=_destination(components.clients.dynamodb, names),
        hold=None,
        watched=watch,
        open_dead_letters=len(letters),
        halted_aggregates=len(halted),
        shards=_shards(components.clients, names, timedelta(hours=hours), watch, report, now),
        projections=[],
    )
    try:
        status.hold = Holds(components.clients.dynamodb, names.bridge).find()
    except ResourceError as error:
        status.warnings.append(str(error))
    builds = BuildStore(components.clients.dynamodb, names.projections)
    shown = []
    for projection in projections:
        try:
            shown.append((projection.name, components.generations.read(projection.name)))
        except ResourceError as error:
            status.warnings.append(str(error))
    under_way = {job.name: (job.phase, progress) for job, progress in builds.watched(name for name, _ in shown)}
    for name, held in shown:
        phase, progress = under_way.get(name, (None, None))
        fed = tuple(sorted(held.fed))
        status.projections.append(ProjectionStatus(name, held.active, fed, held.building, phase, progress))
    _assess(status)
    try:
        components.guard.identities.check()
    except TableReplacedError as error:
        status.errors.insert(0, str(error))
    return status


def retention_hours(kinesis: "KinesisClient", stream: str) -> int:
    """How long the stream keeps a record. Raises ThrottledError, EndpointError or ResourceError."""
    with aws_errors(f"describing stream {stream}"):
        summary = kinesis.describe_stream_summary(StreamName=stream)["StreamDescriptionSummary"]
    return int(summary["RetentionPeriodHours"])


def _shards(
    clients: Clients,
    names: Names,
    retention: timedelta,
    watch: float,
    report: Callable[[str], None],
    now: datetime | None,
) -> list[StreamShardStatus]:
    with aws_errors(f"reading the leases of {names.leases}"):
        topology = list_shards(clients.kinesis, names.stream)
        table = LeaseTable(clients.dynamodb, names.leases)
        try:
            watched = watch_leases(table, table.scan(), watch, report)
        except ClientError as error:
            if not is_not_found(error):
                raise
            watched = WatchedLeases({}, frozenset())  # no worker has ever started
    # A shard without a lease is unread from where a worker would start.
    to_come = {lease.key: lease for lease in missing_leases(topology, watched.leases, "trim-horizon")}
    found = []
    for lease in sorted((watched.leases | to_come).values(), key=lambda lease: lease.key):
        gone = lease.key not in topology.shards
        if gone and lease.ended:
            continue
        lag = ShardLag(lost=True) if gone else _lag(clients.kinesis, names.stream, lease)
        unread = (now or datetime.now(UTC)) - lag.arrived_at if lag.arrived_at else timedelta()
        found.append(
            StreamShardStatus(
                shard_id=lease.key,
                owner=lease.owner,
                alive=lease.owner is not None and not lease.ended and lease.key not in watched.silent,
                checkpoint=lease.checkpoint,
                ended=lease.ended,
                lag=lag,
                unread=unread,
                used=1.0 if lag.lost else unread / retention,
            )
        )
    return found


def _lag(kinesis: "KinesisClient", stream: str, lease: Lease) -> ShardLag:
    return ShardLag() if lease.ended else oldest_unread(kinesis, stream, lease)


def _destination(dynamodb: "DynamoDBClient", names: Names) -> str | None:
    """The status of the events table's streaming destination to our stream; None when there is none."""
    with aws_errors(f"describing the streaming destinations of {names.events}"):
        answer = dynamodb.describe_kinesis_streaming_destination(TableName=names.events)
    for each in answer.get("KinesisDataStreamDestinations", []):
        if each["StreamArn"].endswith(f":stream/{names.stream}"):
            return each["DestinationStatus"]
    return None


def _counted(found: Sequence[str], noun: str) -> str:
    return f"{len(found)} {noun}{'s' if len(found) > 1 else ''}" if found else ""


def _assess(status: Status) -> None:
    """Derive the warnings and errors."""
    for shard in status.shards:
        if shard.lag.lost:
            status.errors.append(
                f"shard {shard.shard_id}: what follows its checkpoint is no longer in the stream; the event store has "
                f"it: `kinfold projector rebuild`"
            )
        elif shard.used >= FAIL_AT:
            status.errors.append(
                f"shard {shard.shard_id}: its oldest unread record has used {shard.used:.0%} of the stream's "
                f"{status.retention_hours} h; raise the retention and start projectors. What the stream loses, the "
                f"event store still has: `kinfold projector rebuild`"
            )
        elif shard.used >= WARN_AT:
            status.warnings.append(
                f"shard {shard.shard_id}: its oldest unread record has used {shard.used:.0%} of the stream's "
                f"{status.retention_hours} h"
            )
        if not shard.alive and not shard.ended:
            silent = f"{shard.owner} has not renewed its lease for {status.watched:.0f} s, so it was killed or hangs"
            why = f"; {silent}" if shard.owner else ""
            status.warnings.append(f"shard {shard.shard_id} is read by nobody{why}: start a projector")
    if status.hold is not None:
        status.warnings.append(f"the watch is {status.hold}; it repairs nothing until `kinfold bridge hold --lift`")
    if status.mode == "native" and status.destination not in _FLOWING:
        # What a hold is there to prevent is not advised while there is one.
        cure = "" if status.hold else "`kinfold bridge ensure` repairs it; "
        status.errors.append(
            f"the events table's streaming destination is {status.destination or 'missing'}: {cure}"
            f"`kinfold projector verify --repair` applies what did not reach the stream meanwhile"
        )
    if status.open_dead_letters:
        status.warnings.append(
            f"{status.open_dead_letters} open dead letters, of {status.halted_aggregates} aggregates: "
            f"`kinfold projector dead-letters list`"
        )
