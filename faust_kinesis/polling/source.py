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
from collections.abc import Mapping
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError
from typing_extensions import override

from aws_client.failures import describe
from faust_kinesis.errors import LeaseLostError
from faust_kinesis.leased_source import LeasedSource, end_tasks
from faust_kinesis.leases.coordinator import TakenLease
from faust_kinesis.leases.table import lease_spec
from faust_kinesis.leases.topology import Topology
from faust_kinesis.options import KinesisOptions
from faust_kinesis.polling.shard_reader import ShardReader
from faust_kinesis.polling.shard_runner import ShardRunner
from faust_kinesis.source import ShardStatus

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_kinesis import KinesisClient

log = logging.getLogger(__name__)


class PollingSource(LeasedSource):
    """A `ShardSource` over GetRecords."""

    def __init__(
        self, stream: str, options: KinesisOptions, *, kinesis: KinesisClient, dynamodb: DynamoDBClient
    ) -> None:
        super().__init__(stream, options, kinesis=kinesis, dynamodb=dynamodb)
        self._runners: dict[str, ShardRunner] = {}
        self._running: dict[str, asyncio.Task[None]] = {}
        self._wake_sync = asyncio.Event()
        self._syncing = asyncio.Lock()

    @override
    def stop_fetching(self) -> None:
        super().stop_fetching()
        for runner in self._runners.values():
            runner.stop_fetching()

    @override
    def _own_status(self) -> Mapping[str, ShardStatus]:
        return {key: runner.status() for key, runner in dict(self._runners).items()}

    @override
    async def _run(self) -> None:
        renewing = asyncio.create_task(self._renew_for_ever())
        try:
            await self._coordinator.prepare([lease_spec(self._table.name)])
            await self._keep_in_sync()
        finally:
            await end_tasks(renewing)

    @override
    async def _release_leases(self, main: asyncio.Task[None]) -> None:
        await self._end_shards(main)
        await asyncio.gather(*(self._give_back(runner) for runner in list(self._runners.values())))

    @override
    async def _end(self, main: asyncio.Task[None]) -> None:
        await self._end_shards(main)
        await super()._end(main)

    async def _end_shards(self, main: asyncio.Task[None]) -> None:
        await end_tasks(main)  # it starts shards, so they end after it
        await end_tasks(*self._running.values())

    async def _keep_in_sync(self) -> None:
        while True:
            self._wake_sync.clear()
            await self._sync()
            try:
                await asyncio.wait_for(self._wake_sync.wait(), self._options.renew_interval)
            except TimeoutError:
                continue

    async def _sync(self, *, list_anew: bool = False) -> Topology:
        async with self._syncing:
            topology = await self._coordinator.sync(list_anew=list_anew)
            for taken in await self._coordinator.take(self._runners):
                self._begin(taken)
            return topology

    def _begin(self, taken: TakenLease) -> None:
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
            sync=lambda: self._sync(list_anew=True),
        )
        if not self._fetching:
            runner.stop_fetching()
        self._runners[lease.key] = runner
        self._running[lease.key] = asyncio.create_task(self._run_shard(runner), name=f"faust-kinesis-{lease.key}")

    async def _run_shard(self, runner: ShardRunner) -> None:
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
            self._coordinator.record(runner.lease)
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
