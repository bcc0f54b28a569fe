"""Changes a stream that is in use: its shards, mode, retention and encryption.

Readers and writers continue: Kinesis closes a shard and opens its children, and a projector reads a parent to its end
before its children.
"""

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from aws_client.failures import code_of
from ledger.errors import ResourceError
from ledger.runtime.aws import aws_errors
from stream_bridge.provisioning.stream import NO_KEY, StreamPlan, StreamState, need_stream, wait_until_active
from stream_bridge.waiter import StateWaiter

if TYPE_CHECKING:
    from mypy_boto3_kinesis import KinesisClient


def shard_steps(now: int, target: int) -> Iterator[int]:
    """The shard counts to request one after the other: AWS at most doubles or halves a stream per call."""
    while now != target:
        now = min(now * 2, target) if target > now else max(-(-now // 2), target)
        yield now


def change_stream(kinesis: "KinesisClient", name: str, plan: StreamPlan, waiter: StateWaiter) -> list[str]:
    """Bring an existing stream to the plan; what the plan leaves open stays as it is. Idempotent.

    Returns the changes, a sentence each. A shorter retention drops older records at once. Raises TransientError, and
    ResourceError when Kinesis refuses a change (it allows ten changes of the shards a day, and two of the mode) or does
    not complete it in time; earlier changes stay.
    """
    stream = wait_until_active(kinesis, name, waiter)
    done: list[str] = []
    for change in (_mode, partial(_shards, waiter), _retention, _encryption):
        if (changed := change(kinesis, stream, plan)) is not None:
            done.append(changed)
            stream = wait_until_active(kinesis, name, waiter)
    return done


def settle_new_stream(kinesis: "KinesisClient", name: str, plan: StreamPlan, waiter: StateWaiter) -> StreamState:
    """Set what CreateStream cannot on a new stream: retention and encryption. Raises as ``change_stream`` does."""
    change_stream(kinesis, name, StreamPlan(retention_hours=plan.retention_hours, key=plan.key), waiter)
    return need_stream(kinesis, name)


def _mode(kinesis: "KinesisClient", stream: StreamState, plan: StreamPlan) -> str | None:
    wanted = "ON_DEMAND" if plan.on_demand else "PROVISIONED" if plan.shards is not None else stream.mode
    if wanted == stream.mode:
        return None
    with aws_errors(f"making stream {stream.name} {wanted}"):
        try:
            kinesis.update_stream_mode(StreamARN=stream.arn, StreamModeDetails={"StreamMode": wanted})  # type: ignore[typeddict-item]
        except ClientError as error:
            if code_of(error) != "InvalidAction":
                raise
            raise ResourceError(
                f"this endpoint does not know UpdateStreamMode: the stream stays {stream.mode}"
            ) from error
    return f"mode {stream.mode} became {wanted}"


def _shards(waiter: StateWaiter, kinesis: "KinesisClient", stream: StreamState, plan: StreamPlan) -> str | None:
    name, before = stream.name, stream.shards
    if plan.shards is None or plan.shards == before:
        return None
    for count in shard_steps(before, plan.shards):
        waiter.report(f"stream {name}: {count} shards ...")
        with aws_errors(f"giving stream {name} {count} shards"):
            kinesis.update_shard_count(StreamName=name, TargetShardCount=count, ScalingType="UNIFORM_SCALING")
        while (now := wait_until_active(kinesis, name, waiter)).shards != count:
            waiter.wait(f"stream {name} has {now.shards} shards, not yet {count}")
    return f"{before} shards became {plan.shards}"


def _retention(kinesis: "KinesisClient", stream: StreamState, plan: StreamPlan) -> str | None:
    hours = plan.retention_hours
    if hours is None or hours == stream.retention_hours:
        return None
    change = (
        kinesis.increase_stream_retention_period
        if hours > stream.retention_hours
        else kinesis.decrease_stream_retention_period
    )
    with aws_errors(f"keeping the records of stream {stream.name} for {hours} h"):
        change(StreamName=stream.name, RetentionPeriodHours=hours)
    return f"retention {stream.retention_hours} h became {hours} h"


def _encryption(kinesis: "KinesisClient", stream: StreamState, plan: StreamPlan) -> str | None:
    if plan.key is None or stream.encrypted_by(plan.key):
        return None
    with aws_errors(f"changing the encryption of stream {stream.name}"):
        if plan.key == NO_KEY:
            kinesis.stop_stream_encryption(StreamName=stream.name, EncryptionType="KMS", KeyId=str(stream.key))
            return f"encryption by {stream.key} ended"
        kinesis.start_stream_encryption(StreamName=stream.name, EncryptionType="KMS", KeyId=plan.key)
    return f"encrypted by {plan.key} from now on"
