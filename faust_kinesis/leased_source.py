"""What the sources over a lease table have in common: everything but the reading."""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from aws_client.call_pool import CallPool
from faust_kinesis.errors import FaustKinesisError, typed
from faust_kinesis.leases.coordinator import LeaseCoordinator
from faust_kinesis.leases.table import LeaseTable
from faust_kinesis.options import KinesisOptions
from faust_kinesis.ready_batches import ReadyBatches
from faust_kinesis.records import RecordBatch
from faust_kinesis.source import ShardStatus

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_kinesis import KinesisClient

log = logging.getLogger(__name__)

_LEASE_THREADS = 4


class LeasedSource(ABC):
    """A `ShardSource` over a lease table. Construct it anywhere; threads and tasks start with `start`."""

    def __init__(
        self, stream: str, options: KinesisOptions, *, kinesis: KinesisClient, dynamodb: DynamoDBClient
    ) -> None:
        self._stream = stream
        self._options = options
        self._kinesis = kinesis
        self._table = LeaseTable(dynamodb, options.application)
        self._reads = CallPool(options.read_threads, "read", stream=stream)
        self._writes = CallPool(_LEASE_THREADS, "lease", stream=stream, lease_table=self._table.name)
        self._coordinator = LeaseCoordinator(
            stream,
            options,
            kinesis=kinesis,
            dynamodb=dynamodb,
            table=self._table,
            reads=self._reads,
            writes=self._writes,
        )
        self._ready = ReadyBatches()
        self._fetching = True
        self._main: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """See `ShardSource.start`."""
        self._main = asyncio.create_task(self._run_or_fail(), name=f"faust-kinesis-{self._stream}")

    async def next_batch(self, timeout: float) -> RecordBatch | None:  # noqa: ASYNC109 - see the protocol
        """See `ShardSource.next_batch`."""
        return await self._ready.next(timeout)

    def stop_fetching(self) -> None:
        """See `ShardSource.stop_fetching`."""
        self._fetching = False
        self._ready.close()

    async def stop(self) -> None:
        """See `ShardSource.stop`."""
        self.stop_fetching()
        main, self._main = self._main, None
        if main is None:
            return
        try:
            async with asyncio.timeout(self._options.stop_timeout):
                await self._release_leases(main)
        except TimeoutError:
            log.error(  # noqa: TRY400 - the timeout's traceback tells nothing
                "Stream %s: leases were not released within %.0f s; they expire after %.0f s",
                self._stream,
                self._options.stop_timeout,
                self._options.failover_time,
                extra={"action": "leases_not_released", "stream": self._stream},
            )
        finally:
            await self._end(main)

    async def abort(self) -> None:
        """See `ShardSource.abort`."""
        self.stop_fetching()
        main, self._main = self._main, None
        if main is not None:
            await self._end(main)

    def status(self) -> list[ShardStatus]:
        """See `ShardSource.status`. Other workers' shards are as of the last scan of the lease table."""
        mine = self._own_status()
        others = [shard for shard in self._coordinator.status() if shard.shard_id not in mine]
        return sorted([*mine.values(), *others], key=lambda shard: shard.shard_id)

    @property
    def failure(self) -> FaustKinesisError | None:
        """See `ShardSource.failure`."""
        return self._ready.failure

    @abstractmethod
    async def _run(self) -> None:
        """Read until cancelled; whatever it raises is the source's failure."""

    @abstractmethod
    async def _release_leases(self, main: asyncio.Task[None]) -> None:
        """Checkpoint every completed prefix, release the leases, and end the main task."""

    @abstractmethod
    def _own_status(self) -> Mapping[str, ShardStatus]:
        """The shards that this worker reads, by their ids. From any thread."""

    async def _run_or_fail(self) -> None:
        try:
            await self._run()
        except Exception as error:  # noqa: BLE001 - whatever ends the source must end the worker
            self._fail(error, f"read stream {self._stream}")

    def _fail(self, error: Exception, action: str) -> None:
        self._ready.fail(typed(error, action))
        self.stop_fetching()

    async def _end(self, main: asyncio.Task[None]) -> None:
        await end_tasks(main)
        self._reads.close()
        self._writes.close()


async def end_tasks(*tasks: asyncio.Task[Any]) -> None:
    """Cancel the tasks and wait for their end, however they end."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
