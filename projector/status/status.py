"""The projector's status as an operator sees it from outside: read once, nothing changed."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from aws_client.failures import is_not_found
from faust_kinesis.leases.table import Lease, LeaseTable
from faust_kinesis.leases.topology import list_shards, missing_leases
from ledger.errors import ResourceError
from ledger.runtime.aws import Clients, aws_errors
from ledger.store.errors import TableReplacedError
from ledger.store.tables import Names
from projector.components import Components
from projector.engine.control_rows import Generations
from projector.projection import Projection
from projector.rebuild.build_lease import BuildStore
from projector.status.lag import ShardLag, oldest_unread

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_kinesis import KinesisClient

#: Shares of the stream's retention after which an unread record is a warning, and an error: at 1 the stream loses it.
WARN_AT: Final = 0.5
FAIL_AT: Final = 0.8
_FLOWING: Final = frozenset({"ACTIVE", "UPDATING"})


@dataclass(frozen=True, slots=True)
class StreamShardStatus:
    """One shard: its reader, checkpoint and lag. ``used``: age of its oldest unread record over the retention."""

    shard_id: str
    owner: str | None
    checkpoint: str
    ended: bool
    lag: ShardLag
    used: float

    def to_json(self) -> dict[str, Any]:
        """The shard as operators see it; times are ISO 8601."""
        oldest = self.lag.arrived_at
        return {
            "shardId": self.shard_id,
            "owner": self.owner,
            "checkpoint": self.checkpoint,
            "ended": self.ended,
            "millisBehindLatest": self.lag.millis_behind_latest,
            "oldestUnreadAt": oldest.isoformat() if oldest else None,
            "retentionUsed": round(self.used, 4),
        }


@dataclass(frozen=True, slots=True)
class ProjectionStatus:
    """One projection's generations; ``phase`` of the build under way, if there is one."""

    name: str
    active: int
    fed: tuple[int, ...]
    building: int | None
    phase: str | None


@dataclass(slots=True)
class Status:
    """The whole status. ``errors`` need action before something is lost; ``warnings`` may become errors."""

    profile: str
    stream: str
    retention_hours: int
    destination: str | None
    open_dead_letters: int
    halted_accounts: int
    shards: list[StreamShardStatus]
    projections: list[ProjectionStatus]
    warnings: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """The status as ``--json`` prints it."""
        return {
            "profile": self.profile,
            "stream": self.stream,
            "retentionHours": self.retention_hours,
            "destination": self.destination,
            "openDeadLetters": self.open_dead_letters,
            "haltedAccounts": self.halted_accounts,
            "shards": [shard.to_json() for shard in self.shards],
            "projections": [
                {
                    "name": each.name,
                    "active": each.active,
                    "fed": each.fed,
                    "building": each.building,
                    "phase": each.phase,
                }
                for each in self.projections
            ],
            "warnings": self.warnings,
            "errors": self.errors,
        }


def read_status(components: Components, projections: Iterable[Projection[Any]], now: datetime | None = None) -> Status:
    """Read everything once: a few GetRecords per shard, the leases, the control rows, the open dead letters.

    Raises ThrottledError, EndpointError, or ResourceError when there is no stream or table.
    """
    now = now or datetime.now(UTC)
    names, kinesis = components.names, components.clients.kinesis
    hours = retention_hours(kinesis, names.stream)
    letters = list(components.letters.list(state="open"))
    halted = {letter.letter.account_id for letter in letters if letter.letter.account_id is not None}
    status = Status(
        profile=names.profile,
        stream=names.stream,
        retention_hours=hours,
        destination=_destination(components.clients.dynamodb, names),
        open_dead_letters=len(letters),
        halted_accounts=len(halted),
        shards=_shards(components.clients, names, timedelta(hours=hours), now),
        projections=[],
    )
    builds = BuildStore(components.clients.dynamodb, names.projections)
    for projection in projections:
        try:
            status.projections.append(_projection(components.generations, builds, projection))
        except ResourceError as error:
            status.warnings.append(str(error))
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


def _shards(clients: Clients, names: Names, retention: timedelta, now: datetime) -> list[StreamShardStatus]:
    with aws_errors(f"reading the leases of {names.leases}"):
        topology = list_shards(clients.kinesis, names.stream)
        try:
            leases = LeaseTable(clients.dynamodb, names.leases).scan()
        except ClientError as error:
            if not is_not_found(error):
                raise
            leases = {}  # no worker has ever started
    # A shard without a lease is unread from where a worker would start.
    to_come = {lease.key: lease for lease in missing_leases(topology, leases, "trim-horizon")}
    found = []
    for lease in sorted((leases | to_come).values(), key=lambda lease: lease.key):
        gone = lease.key not in topology.shards
        if gone and lease.ended:
            continue
        lag = ShardLag(lost=True) if gone else _lag(clients.kinesis, names.stream, lease)
        age = (now - lag.arrived_at) / retention if lag.arrived_at else 0.0
        found.append(
            StreamShardStatus(lease.key, lease.owner, lease.checkpoint, lease.ended, lag, 1.0 if lag.lost else age)
        )
    return found


def _lag(kinesis: "KinesisClient", stream: str, lease: Lease) -> ShardLag:
    return ShardLag() if lease.ended else oldest_unread(kinesis, stream, lease)


def _projection(generations: Generations, builds: BuildStore, projection: Projection[Any]) -> ProjectionStatus:
    held = generations.read(projection.name)
    build = builds.read(projection.name)
    phase = build.phase if build else None
    return ProjectionStatus(projection.name, held.active, tuple(sorted(held.fed)), held.building, phase)


def _destination(dynamodb: "DynamoDBClient", names: Names) -> str | None:
    """The status of the events table's streaming destination to our stream; None when there is none."""
    with aws_errors(f"describing the streaming destinations of {names.events}"):
        answer = dynamodb.describe_kinesis_streaming_destination(TableName=names.events)
    for each in answer.get("KinesisDataStreamDestinations", []):
        if each["StreamArn"].endswith(f":stream/{names.stream}"):
            return each["DestinationStatus"]
    return None


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
        if shard.owner is None and not shard.ended:
            status.warnings.append(f"shard {shard.shard_id} is read by nobody: start a projector")
    if status.destination not in _FLOWING:
        status.errors.append(
            f"the events table's streaming destination is {status.destination or 'missing'}: `kinfold bridge ensure` "
            f"repairs it; `kinfold projector verify --repair` applies what did not reach the stream meanwhile"
        )
    if status.open_dead_letters:
        status.warnings.append(
            f"{status.open_dead_letters} open dead letters, of {status.halted_accounts} accounts: "
            f"`kinfold projector dead-letters list`"
        )
