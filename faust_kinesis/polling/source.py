"""The polling source: one process reads every shard of a stream. No Java, starts in under a second.

Safe beside others on the same lease table: a second process stands by, shard by shard, and takes leases that are
released or expire. It does not balance; KCL does, and may take over the same table.

What runs, all on one event loop:

    _run -- LeaseCoordinator.prepare  waits for the stream, creates the lease table
         +- _keep_in_sync        lists shards, creates leases, takes leases   -> a ShardRunner for each lease taken
         +- _renew_for_ever      raises the counters of the leases held
    _run_shard ...               one a shard: reads, hands out, checkpoints
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from aws_client.call_pool import CallPool
from aws_client.failures import describe
from faust_kinesis.errors import FaustKinesisError, LeaseLostError, typed
from faust_kinesis.leases.coordinator import LeaseCoordinator, TakenLease
from faust_kinesis.leases.table import LeaseTable
from faust_kinesis.leases.topology import Topology
from faust_kinesis.options import KinesisOptions
from faust_kinesis.polling.shard_reader import ShardReader
from faust_kinesis.polling.shard_runner import ShardRunner
from faust_kinesis.ready_batches import ReadyBatches
from faust_kinesis.records import RecordBatch
from faust_kinesis.source import ShardStatus

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_kinesis import KinesisClient

log = logging.getLogger(__name__)

_LEASE_THREADS = 4


class PollingSource:
    """A `ShardSource` over GetRecords. Construct it anywhere; threads and tasks start with `start`."""

    def __init__(
        self, stream: str, options: KinesisOptions, *, kinesis: KinesisClient, dynamodb: DynamoDBClient
    ) -> None:
        self._stream = stream
        self._options = options
        self._kinesis = kinesis
        self._table = LeaseTable(dynamodb, options.application)
        self._coordinator: LeaseCoordinator | None = None
        self._runners: dict[str, ShardRunner] = {}
        self._running: dict[str, asyncio.Task[None]] = {}
        self._ready = ReadyBatches()
        self._wake_sync = asyncio.Event()
        self._syncing = asyncio.Lock()
        self._fetching = True
        self._main: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """See `ShardSource.start`."""
        self._reads = CallPool(self._options.read_threads, "read", stream=self._stream)
        self._writes = CallPool(_LEASE_THREADS, "lease", stream=self._stream, lease_table=self._table.name)
        self._coordinator = LeaseCoordinator(
            self._stream,
            self._options,
            kinesis=self._kinesis,
            table=self._table,
            reads=self._reads,
            writes=self._writes,
        )
        self._main = asyncio.create_task(self._run(self._coordinator), name=f"faust-kinesis-{self._stream}")

    async def next_batch(self, timeout: float) -> RecordBatch | None:  # noqa: ASYNC109 - see the protocol
        """See `ShardSource.next_batch`."""
        return await self._ready.next(timeout)

    def stop_fetching(self) -> None:
        """See `ShardSource.stop_fetching`."""
        self._fetching = False
        self._ready.close()
        for runner in self._runners.values():
            runner.stop_fetching()

    async def stop(self) -> None:
        """See `ShardSource.stop`."""
        self.stop_fetching()
        if not await self._end():
            return
        try:
            async with asyncio.timeout(self._options.stop_timeout):
                await asyncio.gather(*(self._give_back(runner) for runner in list(self._runners.values())))
        except TimeoutError:
            log.error(  # noqa: TRY400 - the timeout's traceback tells nothing
                "Stream %s: leases were not given back within %.0f s; they expire after %.0f s",
                self._stream,
                self._options.stop_timeout,
                self._options.failover_time,
                extra={"action": "leases_not_released", "stream": self._stream},
            )
        finally:
            self._close()

    async def abort(self) -> None:
        """See `ShardSource.abort`."""
        self.stop_fetching()
        if await self._end():
            self._close()

    def status(self) -> list[ShardStatus]:
        """See `ShardSource.status`."""
        runners = dict(self._runners)
        leases = list(self._coordinator.leases.values()) if self._coordinator else []
        others = [lease.status() for lease in leases if lease.key not in runners]
        return sorted([runner.status() for runner in runners.values()] + others, key=lambda shard: shard.shard_id)

    @property
    def failure(self) -> FaustKinesisError | None:
        """See `ShardSource.failure`."""
        return self._ready.failure

    async def _run(self, coordinator: LeaseCoordinator) -> None:
        renewing = asyncio.create_task(self._renew_for_ever())
        try:
            await coordinator.prepare()
            await self._keep_in_sync(coordinator)
        except Exception as error:  # noqa: BLE001 - whatever ends the source must end the worker
            self._fail(error, f"read stream {self._stream}")
        finally:
            renewing.cancel()
            await asyncio.gather(renewing, return_exceptions=True)

    def _fail(self, error: Exception, action: str) -> None:
        self._ready.fail(typed(error, action))
        self.stop_fetching()

    async def _end(self) -> bool:
        """End all tasks; False when that was done before."""
        if self._main is None:
            return False
        main, self._main = self._main, None
        main.cancel()
        await asyncio.gather(main, return_exceptions=True)  # it starts shards, so they end after it
        tasks = list(self._running.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return True

    def _close(self) -> None:
        self._reads.close()
        self._writes.close()

    async def _keep_in_sync(self, coordinator: LeaseCoordinator) -> None:
        while True:
            self._wake_sync.clear()
            await self._sync(coordinator)
            try:
                await asyncio.wait_for(self._wake_sync.wait(), self._options.renew_interval)
            except TimeoutError:
                continue

    async def _sync(self, coordinator: LeaseCoordinator, *, list_anew: bool = False) -> Topology:
        async with self._syncing:
            topology = await coordinator.sync(list_anew=list_anew)
            for taken in await coordinator.take(self._runners):
                self._begin(coordinator, taken)
            return topology

    def _begin(self, coordinator: LeaseCoordinator, taken: TakenLease) -> None:
        lease = taken.lease
        log.info(
            "Reading shard %s of stream %s from %s (lease before: %s)",
            lease.key,
            self._stream,
            lease.checkpoint,
            taken.owner_before or "nobody's",
            extra={
                "action": "shard_started",
                "stream": self._stream,
                "shard": lease.key,
                "checkpoint": lease.checkpoint,
            },
        )
        runner = ShardRunner(
            lease,
            stream=self._stream,
            options=self._options,
            table=self._table,
            lease_calls=self._writes,
            reader=ShardReader(
                self._kinesis,
                self._reads,
                self._stream,
                lease,
                self._options.batch_size,
                at_first_start=taken.at_first_start,
            ),
            offer=lambda batch: self._ready.add(batch, batch.shard_id),
            sync=lambda: self._sync(coordinator, list_anew=True),
        )
        if not self._fetching:
            runner.stop_fetching()
        self._runners[lease.key] = runner
        self._running[lease.key] = asyncio.create_task(
            self._run_shard(coordinator, runner), name=f"faust-kinesis-{lease.key}"
        )

    async def _run_shard(self, coordinator: LeaseCoordinator, runner: ShardRunner) -> None:
        shard_id = runner.lease.key
        try:
            await runner.run()
        except LeaseLostError as lost:
            self._drop(shard_id, lost)
        except Exception as error:  # noqa: BLE001 - whatever ends a shard for good must end the worker
            self._fail(error, f"read shard {shard_id} of stream {self._stream}")
        else:
            log.info(
                "Shard %s of stream %s is read to its end",
                shard_id,
                self._stream,
                extra={"action": "shard_ended", "stream": self._stream, "shard": shard_id},
            )
            self._forget_runner(shard_id)
            coordinator.record(runner.lease)
            self._wake_sync.set()

    def _drop(self, shard_id: str, lost: LeaseLostError) -> None:
        log.warning(
            "Stream %s: %s. Its batches stop here; the new owner goes on from the checkpoint",
            self._stream,
            lost,
            extra={"action": "lease_lost", "stream": self._stream, "shard": shard_id},
        )
        self._forget_runner(shard_id)
        self._ready.withdraw(shard_id)

    def _forget_runner(self, shard_id: str) -> None:
        self._runners.pop(shard_id, None)
        self._running.pop(shard_id, None)

    async def _renew_for_ever(self) -> None:
        while True:
            await asyncio.sleep(self._options.renew_interval)
            await asyncio.gather(*(self._renew(runner) for runner in list(self._runners.values())))

    async def _renew(self, runner: ShardRunner) -> None:
        try:
            await runner.renew()
        except LeaseLostError as lost:
            # The runner may have noticed it itself meanwhile, and this worker may even own the shard again.
            if self._runners.get(runner.lease.key) is runner:
                self._running[runner.lease.key].cancel()
                self._drop(runner.lease.key, lost)
        except Exception as error:  # noqa: BLE001 - without renewals, the worker must not go on
            self._fail(error, f"renew the lease of {runner.lease.key}")

    async def _give_back(self, runner: ShardRunner) -> None:
        try:
            await runner.give_back()
        except LeaseLostError as lost:
            self._drop(runner.lease.key, lost)
        except (ClientError, BotoCoreError) as error:
            log.error(  # noqa: TRY400 - the error is named, its traceback is the SDK's
                "Could not checkpoint and release shard %s of stream %s: %s",
                runner.lease.key,
                self._stream,
                describe(error),
                extra={"action": "lease_not_released", "stream": self._stream, "shard": runner.lease.key},
            )
