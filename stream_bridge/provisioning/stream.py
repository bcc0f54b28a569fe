"""The Kinesis stream: describing and creating it."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from botocore.exceptions import ClientError

from aws_client.failures import code_of, is_not_found
from ledger.errors import ConfigurationError, ResourceError, ThrottledError
from ledger.runtime.aws import aws_errors
from stream_bridge.waiter import StateWaiter

if TYPE_CHECKING:
    from mypy_boto3_kinesis import KinesisClient

DEFAULT_SHARDS: Final = 1
#: What a shard takes a second. AWS, "Kinesis Data Streams quotas and limits".
SHARD_RECORDS: Final = 1000
SHARD_BYTES: Final = 1024 * 1024
#: In place of a key: no encryption.
NO_KEY: Final = "none"


@dataclass(frozen=True, slots=True)
class StreamState:
    """A stream as Kinesis describes it. ``shards`` counts the open ones."""

    name: str
    arn: str
    status: str
    mode: str
    shards: int
    retention_hours: int
    encryption: str
    key: str | None = None

    @property
    def healthy(self) -> bool:
        """Whether records can be put and read; they can while it is being resharded (UPDATING)."""
        return self.status in {"ACTIVE", "UPDATING"}

    @property
    def spare_rate(self) -> int:
        """Records a second that a backfill may put: half of what the shards take; the rest is for the table."""
        return SHARD_RECORDS // 2 * max(self.shards, 1)

    def encrypted_by(self, key: str) -> bool:
        """Whether this key encrypts it; "none": whether nothing does. Kinesis may name a key by its ARN."""
        if key == NO_KEY:
            return self.encryption == "NONE"
        return self.encryption != "NONE" and self.key is not None and (self.key == key or self.key.endswith(f"/{key}"))


@dataclass(frozen=True, slots=True)
class StreamPlan:
    """What is asked of a stream. None: unspecified; a new stream gets Kinesis' default and one shard.

    ``retention_hours``: 24 to 8,760. ``key``: the KMS key that encrypts it at rest (id, ARN or alias), "none" for no
    encryption.
    """

    shards: int | None = None
    on_demand: bool = False
    retention_hours: int | None = None
    key: str | None = None

    def mismatch(self, stream: StreamState) -> list[str]:
        """How an existing stream differs from the plan, and which command changes it."""
        shards, hours, key = self.shards, self.retention_hours, self.key
        found = []
        if self.on_demand and stream.mode != "ON_DEMAND":
            found.append((f"has {stream.shards} provisioned shards, on demand was asked", "--on-demand"))
        elif shards is not None and stream.mode == "ON_DEMAND":
            found.append((f"is on demand, {shards} shards were asked", f"--shards {shards}"))
        elif shards is not None and stream.shards != shards:
            found.append((f"has {stream.shards} shards, {shards} were asked", f"--shards {shards}"))
        if hours is not None and stream.retention_hours != hours:
            found.append(
                (f"keeps records for {stream.retention_hours} h, {hours} h were asked", f"--retention {hours}")
            )
        if key is not None and not stream.encrypted_by(key):
            found.append((f"has {stream.key or 'no encryption'}, the key {key} was asked", f"--key {key}"))
        return [
            f"stream {stream.name} {what}: it stays as it is; `kinfold bridge scale {how}` changes it while "
            f"everything runs"
            for what, how in found
        ]


def describe_stream(kinesis: "KinesisClient", name: str) -> StreamState | None:
    """The stream's state; None when there is no such stream. Raises TransientError, ResourceError."""
    with aws_errors(f"describing stream {name}"):
        try:
            summary = kinesis.describe_stream_summary(StreamName=name)["StreamDescriptionSummary"]
        except ClientError as error:
            if is_not_found(error):
                return None
            raise
    return StreamState(
        name=summary["StreamName"],
        arn=summary["StreamARN"],
        status=summary["StreamStatus"],
        mode=summary.get("StreamModeDetails", {}).get("StreamMode", "PROVISIONED"),
        shards=summary["OpenShardCount"],
        retention_hours=summary["RetentionPeriodHours"],
        encryption=summary.get("EncryptionType") or "NONE",
        key=summary.get("KeyId") or None,
    )


def need_stream(kinesis: "KinesisClient", name: str) -> StreamState:
    """The stream's state. Raises TransientError, and ResourceError when there is no such stream."""
    stream = describe_stream(kinesis, name)
    if stream is None:
        raise ResourceError(f"there is no stream {name}: `kinfold bridge ensure` creates it")
    return stream


def wait_until_active(kinesis: "KinesisClient", name: str, waiter: StateWaiter) -> StreamState:
    """Wait until an existing stream is ACTIVE. Raises TransientError, and ResourceError when it is not in time."""
    while (stream := need_stream(kinesis, name)).status != "ACTIVE":
        waiter.wait(f"stream {name} is {stream.status}")
    return stream


def ensure_stream(
    kinesis: "KinesisClient", name: str, plan: StreamPlan, waiter: StateWaiter
) -> tuple[StreamState, bool]:
    """Create the stream unless it exists, and wait until it is ACTIVE. Idempotent, also under concurrency.

    Returns its state and whether this call created it. Raises TransientError, and ResourceError when it does not
    become ACTIVE in time.
    """
    created = False
    while (stream := describe_stream(kinesis, name)) is None or stream.status != "ACTIVE":
        if stream is not None:
            waiter.wait(f"stream {name} is {stream.status}")
            continue
        try:
            created = _create(kinesis, name, plan) or created
        except ThrottledError as error:
            waiter.wait(str(error))
    return stream, created


def check_place(stream_arn: str, *, name: str, account: str, region: str) -> None:
    """Check that DynamoDB can write to the named stream. Raises ConfigurationError, which lists every fault.

    AWS delivers a table's change records only to a stream of the table's own account and region.
    """
    parts = stream_arn.split(":", 5)
    faults = [
        f"it is in {what} {given}, the events table in {ours}; DynamoDB streams only to its own {what}"
        for what, given, ours in (("region", parts[3], region), ("account", parts[4], account))
        if given != ours
    ]
    if parts[5] != f"stream/{name}":
        faults.append(f"it is not named {name}, which is the stream that the projector of this profile reads")
    if faults:
        raise ConfigurationError("\n  ".join([f"KINFOLD_STREAM_ARN={stream_arn} cannot be used:", *faults]))


def _create(kinesis: "KinesisClient", name: str, plan: StreamPlan) -> bool:
    with aws_errors(f"creating stream {name}"):
        try:
            if plan.on_demand:
                kinesis.create_stream(StreamName=name, StreamModeDetails={"StreamMode": "ON_DEMAND"})
            else:
                kinesis.create_stream(StreamName=name, ShardCount=plan.shards or DEFAULT_SHARDS)
        except ClientError as error:
            if code_of(error) == "ResourceInUseException":
                return False
            raise
    return True
