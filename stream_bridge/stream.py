"""The Kinesis stream: how it is, and how it comes to be."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from botocore.exceptions import ClientError

from ledger.aws import aws_errors, error_code
from ledger.errors import ConfigurationError, ThrottledError
from stream_bridge.patience import Patience

if TYPE_CHECKING:
    from mypy_boto3_kinesis import KinesisClient

DEFAULT_SHARDS: Final = 1


@dataclass(frozen=True, slots=True)
class StreamState:
    """A stream as Kinesis describes it. ``shards`` counts the open ones, ``retention_hours`` is how long it keeps."""

    name: str
    arn: str
    status: str
    mode: str
    shards: int
    retention_hours: int
    encryption: str

    @property
    def healthy(self) -> bool:
        """Whether it takes and gives records; one that is being resharded (UPDATING) does."""
        return self.status in {"ACTIVE", "UPDATING"}


@dataclass(frozen=True, slots=True)
class Capacity:
    """What is asked of a new stream: a number of shards, or on demand. Neither: one shard."""

    shards: int | None = None
    on_demand: bool = False

    def mismatch(self, stream: StreamState) -> str | None:
        """Say how an existing stream differs from what was asked, and what changes it. None when it does not."""
        if self.on_demand and stream.mode != "ON_DEMAND":
            return (
                f"stream {stream.name} has {stream.shards} provisioned shards, on demand was asked: it stays as it "
                f"is; `aws kinesis update-stream-mode --stream-arn {stream.arn} "
                f"--stream-mode-details StreamMode=ON_DEMAND` changes it"
            )
        if self.shards is None or (stream.mode != "ON_DEMAND" and stream.shards == self.shards):
            return None
        if stream.mode == "ON_DEMAND":
            return f"stream {stream.name} is on demand, {self.shards} shards were asked: it stays as it is"
        return (
            f"stream {stream.name} has {stream.shards} shards, {self.shards} were asked: it stays as it is; "
            f"`aws kinesis update-shard-count --stream-name {stream.name} --scaling-type UNIFORM_SCALING "
            f"--target-shard-count {self.shards}` changes it while everything runs"
        )


def describe_stream(kinesis: "KinesisClient", name: str) -> StreamState | None:
    """Ask for the stream's state; None when there is no such stream. Raises TransientError, ResourceError."""
    with aws_errors(f"describing stream {name}"):
        try:
            summary = kinesis.describe_stream_summary(StreamName=name)["StreamDescriptionSummary"]
        except ClientError as error:
            if error_code(error) == "ResourceNotFoundException":
                return None
            raise
    return StreamState(
        name=summary["StreamName"],
        arn=summary["StreamARN"],
        status=summary["StreamStatus"],
        mode=summary.get("StreamModeDetails", {}).get("StreamMode", "PROVISIONED"),
        shards=summary["OpenShardCount"],
        retention_hours=summary["RetentionPeriodHours"],
        encryption=summary.get("EncryptionType", "NONE"),
    )


def ensure_stream(
    kinesis: "KinesisClient", name: str, capacity: Capacity, patience: Patience
) -> tuple[StreamState, bool]:
    """Create the stream unless it is there, and wait until it is ACTIVE. Safe to repeat and to race.

    Returns its state and whether this call created it. Raises TransientError, and ResourceError when it does not
    become ACTIVE in time.
    """
    created = False
    while True:
        stream = describe_stream(kinesis, name)
        if stream is not None and stream.status == "ACTIVE":
            return stream, created
        if stream is not None:
            patience.wait(f"stream {name} is {stream.status}")
            continue
        try:
            created = _create(kinesis, name, capacity) or created
        except ThrottledError as error:
            patience.wait(str(error))


def check_place(stream_arn: str, *, name: str, account: str, region: str) -> None:
    """Hold the stream that was named against where DynamoDB can write. Raises ConfigurationError, saying all faults.

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


def _create(kinesis: "KinesisClient", name: str, capacity: Capacity) -> bool:
    with aws_errors(f"creating stream {name}"):
        try:
            if capacity.on_demand:
                kinesis.create_stream(StreamName=name, StreamModeDetails={"StreamMode": "ON_DEMAND"})
            else:
                kinesis.create_stream(StreamName=name, ShardCount=capacity.shards or DEFAULT_SHARDS)
        except ClientError as error:
            if error_code(error) == "ResourceInUseException":
                return False
            raise
    return True
