"""The oldest unread record of a shard, read from outside the worker."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Final

from botocore.exceptions import ClientError

from aws_client.failures import code_of, is_not_found
from aws_client.retry import RetryPolicy
from faust_kinesis.leases.table import Lease
from faust_kinesis.polling.shard_reader import first_unread, iterator_request
from ledger.errors import ThrottledError
from ledger.runtime.aws import aws_errors, retrying

if TYPE_CHECKING:
    from mypy_boto3_kinesis import KinesisClient
    from mypy_boto3_kinesis.type_defs import GetRecordsOutputTypeDef

#: Seconds to retry on a shard whose workers use up its five reads a second.
_RETRY_SECONDS: Final = 5


@dataclass(frozen=True, slots=True)
class ShardLag:
    """What is unread in a shard after its checkpoint.

    ``arrived_at``: when the oldest unread record arrived, None when there is none. ``lost``: the stream no longer holds
    what follows the checkpoint. ``millis_behind_latest``: as Kinesis reports it.
    """

    arrived_at: datetime | None = None
    millis_behind_latest: int = 0
    lost: bool = False


def oldest_unread(kinesis: "KinesisClient", stream: str, lease: Lease) -> ShardLag:
    """Read one record after the lease's checkpoint. Raises ThrottledError, EndpointError or ResourceError."""
    request = iterator_request(lease, None, at_first_start=False)
    with aws_errors(f"looking at shard {lease.key} of {stream}"):
        try:
            answer = kinesis.get_shard_iterator(StreamName=stream, ShardId=lease.key, **request)
        except ClientError as error:
            if is_not_found(error) or code_of(error) == "InvalidArgumentException":
                return ShardLag(lost=True)
            raise
    page = first_unread(partial(_page, kinesis, stream, lease), answer["ShardIterator"])
    behind = (page.get("MillisBehindLatest") or 0) if page else 0
    if page and page["Records"]:
        return ShardLag(page["Records"][0]["ApproximateArrivalTimestamp"], behind)
    return ShardLag(datetime.now(UTC) - timedelta(milliseconds=behind), behind) if behind else ShardLag()


def _page(kinesis: "KinesisClient", stream: str, lease: Lease, iterator: str) -> "GetRecordsOutputTypeDef":
    for attempt in retrying(_RETRY_SECONDS, ThrottledError, policy=RetryPolicy(0.2, 1.0, jitter=1.0)):
        with attempt, aws_errors(f"looking at shard {lease.key} of {stream}"):
            return kinesis.get_records(ShardIterator=iterator, Limit=1)
    raise AssertionError("retrying ended without an answer")
