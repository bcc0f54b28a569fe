"""Reads the DynamoDB Stream of a table: its shards, and each shard page by page.

Facts that shape it (AWS, "Change data capture for DynamoDB Streams" and the API reference; docs/design.md has what the
emulators do):

- Records are kept for 24 hours. An older position is refused with TrimmedDataAccessException.
- A shard is closed after some hours and replaced by its children; a closed shard can be read for as long as its
  records are kept. A child must be read after its parent, or one item's changes would come out of order.
- **The order holds for each item, not for each aggregate.** The events of one transaction may come in any order, and an
  aggregate with many events may lie on several partitions, and so on several shards.
- No more than two readers a shard, and ten DescribeStream calls a second. An iterator lives for 15 minutes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import structlog
from botocore.exceptions import ClientError

from aws_client.call_pool import CallPool
from aws_client.failures import code_of
from faust_kinesis.leases.table import LATEST, TRIM_HORIZON
from faust_kinesis.leases.topology import Shard
from ledger.errors import ResourceError
from ledger.runtime.aws import Clients, aws_errors
from stream_bridge.waiter import StateWaiter

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodbstreams import DynamoDBStreamsClient
    from mypy_boto3_dynamodbstreams.type_defs import RecordTypeDef

log = structlog.get_logger(__name__)

#: GetRecords' limits: 1 MB or so many records.
MAX_RECORDS: Final = 1000


@dataclass(frozen=True, slots=True)
class StreamDescription:
    """A table's stream as it was described: every shard that still holds records, by id.

    ``label`` tells this stream from others that the table had before: shard ids alone need not.
    """

    arn: str
    label: str
    status: str
    shards: Mapping[str, Shard]

    @property
    def enabled(self) -> bool:
        """Whether every change of the table reaches the stream; a stream that is still ENABLING may lose some."""
        return self.status == "ENABLED"


@dataclass(frozen=True, slots=True)
class TablePage:
    """A page of GetRecords. After the ``last`` page the shard has no more.

    ``lost``: records between the requested position and this page have left the stream; a backfill brings them.
    """

    records: Sequence["RecordTypeDef"]
    last: bool
    lost: bool = False


def describe_stream(dynamodb: "DynamoDBClient", streams: "DynamoDBStreamsClient", table: str) -> StreamDescription:
    """Describe the table's stream once. AWS's errors come as they are; ResourceError when the table has no stream."""
    arn = dynamodb.describe_table(TableName=table)["Table"].get("LatestStreamArn")
    if arn is None:
        raise ResourceError(f"table {table} has no stream: `kinfold bridge ensure` says what it needs")
    page = streams.describe_stream(StreamArn=arn)["StreamDescription"]
    found = page.get("Shards", [])
    while after := page.get("LastEvaluatedShardId"):
        page = streams.describe_stream(StreamArn=arn, ExclusiveStartShardId=after)["StreamDescription"]
        found += page.get("Shards", [])
    # In a stream that is switched off no shard gets another record, whatever its own range says.
    is_off = page["StreamStatus"] in {"DISABLED", "DISABLING"}
    shards = {
        shard["ShardId"]: Shard(
            shard_id=shard["ShardId"],
            parents=frozenset(filter(None, [shard.get("ParentShardId")])),
            is_open=not is_off and not shard.get("SequenceNumberRange", {}).get("EndingSequenceNumber"),
        )
        for shard in found
    }
    return StreamDescription(arn, page["StreamLabel"], page["StreamStatus"], shards)


def wait_until_enabled(clients: Clients, table: str, waiter: StateWaiter) -> None:
    """Wait until every change of the table reaches its stream: some endpoints lose those that come before.

    Raises ResourceError when it does not come to that in time, TransientError.
    """
    while True:
        with aws_errors(f"describing the stream of table {table}"):
            stream = describe_stream(clients.dynamodb, clients.dynamodbstreams, table)
        if stream.enabled:
            return
        waiter.wait(f"the stream of table {table} is {stream.status}")


class TableStream:
    """The current stream of a table. Transient failures are retried for as long as they last."""

    def __init__(
        self, dynamodb: "DynamoDBClient", streams: "DynamoDBStreamsClient", table: str, calls: CallPool
    ) -> None:
        self._dynamodb = dynamodb
        self.streams = streams
        self.calls = calls
        self.table = table

    async def describe(self) -> StreamDescription:
        """List the stream's shards. Raises ResourceError when the table or its stream is not there."""
        with aws_errors(f"describing the stream of table {self.table}"):
            return await self.calls.retry_until_answered(
                f"describe the stream of {self.table}", describe_stream, self._dynamodb, self.streams, self.table
            )

    def reader(self, stream: StreamDescription, shard_id: str, checkpoint: str) -> "TableShardReader":
        """Read a shard after ``checkpoint``: a sequence number, TRIM_HORIZON, or LATEST."""
        return TableShardReader(self, stream.arn, shard_id, checkpoint)


class TableShardReader:
    """Reads one shard in order, no page twice. Not safe for concurrent callers."""

    def __init__(self, stream: TableStream, arn: str, shard_id: str, checkpoint: str) -> None:
        self._stream = stream
        self._arn = arn
        self._after = checkpoint
        self._iterator: str | None = None
        self._lost = False
        self.shard_id = shard_id

    async def next_page(self, limit: int = MAX_RECORDS) -> TablePage:
        """The next page, possibly empty. Retries transient failures, and replaces an expired iterator.

        A position that has left the stream is reported by ``lost``, and reading resumes at the oldest record. A shard
        that is gone as a whole is reported by ``lost`` and ``last``.

        Raises ResourceError when the stream itself is gone, or for any refusal that retrying cannot help.
        """
        with aws_errors(f"reading shard {self.shard_id} of the stream of {self._stream.table}"):
            return await self._next_page(limit)

    async def _next_page(self, limit: int) -> TablePage:
        while True:
            try:
                if self._iterator is None:
                    self._iterator = await self._new_iterator()
                answer = await self._stream.calls.retry_until_answered(
                    f"read {self.shard_id}", self._stream.streams.get_records, ShardIterator=self._iterator, Limit=limit
                )
            except ClientError as error:
                match code_of(error):
                    case "ExpiredIteratorException":
                        # A new LATEST is a later position: records in between are skipped.
                        self._iterator, self._lost = None, self._lost or self._after == LATEST
                        log.info("iterator_expired", shard=self.shard_id, action="reads on after the last record")
                    case "TrimmedDataAccessException":
                        self._skip_trimmed()
                    case "ResourceNotFoundException" if await self._is_gone():
                        return TablePage((), last=True, lost=True)
                    case _:
                        raise
                continue
            self._iterator = answer.get("NextShardIterator")
            records = answer["Records"]
            if records:
                self._after = records[-1]["dynamodb"]["SequenceNumber"]
            lost, self._lost = self._lost, False
            return TablePage(records, last=self._iterator is None, lost=lost)

    async def _new_iterator(self) -> str:
        answer = await self._stream.calls.retry_until_answered(
            f"find the place in {self.shard_id}",
            self._stream.streams.get_shard_iterator,
            StreamArn=self._arn,
            ShardId=self.shard_id,
            **iterator_request(self._after),
        )
        return answer["ShardIterator"]

    def _skip_trimmed(self) -> None:
        log.error(
            "records_trimmed",
            shard=self.shard_id,
            after=self._after,
            action="reads on with the oldest record; a backfill brings what is lost to this stream",
        )
        self._iterator, self._after, self._lost = None, TRIM_HORIZON, True

    async def _is_gone(self) -> bool:
        """Whether the shard is no longer listed. Raises ResourceError when the whole stream was replaced."""
        now = await self._stream.describe()
        if now.arn != self._arn:
            raise ResourceError(f"the stream of table {self._stream.table} was replaced by another while it was read")
        if self.shard_id in now.shards:
            return False
        log.error(
            "shard_gone",
            shard=self.shard_id,
            after=self._after,
            action="goes on with its children; a backfill brings what is lost to this stream",
        )
        return True


def iterator_request(checkpoint: str) -> dict[str, Any]:
    """GetShardIterator's arguments for reading after a checkpoint. Pure."""
    if checkpoint in {TRIM_HORIZON, LATEST}:
        return {"ShardIteratorType": checkpoint}
    return {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "SequenceNumber": checkpoint}
