"""Sources under test, and what they hand out."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, Protocol

from faust_kinesis.options import KinesisOptions
from faust_kinesis.records import RecordBatch
from faust_kinesis.source import ShardSource
from tests.support.waiting import PATIENCE

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_kinesis import KinesisClient

#: For Amazon's KCL: it assigns a lease and starts on its shard without waiting a second for each.
QUICK_KCL: Final = {
    "leaseAssignmentIntervalMillis": "300",
    "shardConsumerDispatchPollIntervalMillis": "200",
    "parentShardPollIntervalMillis": "200",
}
QUICK_KCL_ENV: Final = {"KINFOLD_KCL_PROPERTIES": ",".join(f"{name}={value}" for name, value in QUICK_KCL.items())}
#: Options with which nothing is waited for longer than it must be.
QUICK: Final[dict[str, Any]] = {
    "poll_interval": 0.2,
    "checkpoint_interval": 0.0,
    "failover_time": 2.0,
    "shard_sync_interval": 1.0,
    "kcl_properties": QUICK_KCL,
}


class MakeSource(Protocol):
    async def __call__(self, worker_id: str = "w1", **options: Any) -> ShardSource: ...


@asynccontextmanager
async def sources(
    source_type: Callable[..., ShardSource],
    stream: str,
    application: str,
    kinesis: "KinesisClient",
    dynamodb: "DynamoDBClient",
) -> AsyncIterator[MakeSource]:
    """Makes and starts sources of one type on one stream; all are aborted after the block."""
    made: list[ShardSource] = []

    async def make(worker_id: str = "w1", **options: Any) -> ShardSource:
        every = KinesisOptions(application=application, worker_id=worker_id, **{**QUICK, **options})
        made.append(source_type(stream, every, kinesis=kinesis, dynamodb=dynamodb))
        await made[-1].start()
        return made[-1]

    try:
        yield make
    finally:
        for source in made:
            await source.abort()


def texts(*batches: RecordBatch) -> list[str]:
    """The data of the records, in order."""
    return [record.data.decode() for batch in batches for record in batch.records]


async def take(
    source: ShardSource, records: int, *, complete: bool = True, within: float = PATIENCE
) -> list[RecordBatch]:
    """Batches until there are that many records; each is completed at once unless told otherwise."""
    batches: list[RecordBatch] = []
    try:
        async with asyncio.timeout(within):
            while sum(len(batch.records) for batch in batches) < records:
                batch = await source.next_batch(0.5)
                if batch is not None:
                    batches.append(batch)
                    if complete:
                        batch.complete()
    except TimeoutError:
        raise AssertionError(f"only {texts(*batches)} after {within:g} s") from None
    return batches


async def nothing(source: ShardSource, seconds: float) -> None:
    """See that the source hands out nothing for so long."""
    try:
        async with asyncio.timeout(seconds):
            while True:
                assert await source.next_batch(seconds) is None
    except TimeoutError:
        return
