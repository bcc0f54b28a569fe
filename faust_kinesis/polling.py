"""The polling source: one process reads every shard of a stream. No Java, starts in under a second.

Safe beside others with the same lease table: a second process stands by, shard by shard, and takes what is released or
expires. It does not balance; for that there is KCL, which may take over the same table.

What runs, all on one event loop:

    _run -- _prepare             waits for the stream, makes the lease table
         +- _keep_in_sync        lists shards, creates leases, takes leases   -> a ShardRunner for each lease taken
         +- _renew_for_ever      raises the counters of the leases held
         +- ShardRunner.run ...  one a shard: reads, hands out, checkpoints
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from faust_kinesis.calls import Calls
from faust_kinesis.errors import ConfigurationError, FaustKinesisError, LeaseLostError, StreamGoneError
from faust_kinesis.lease_planner import LeaseSights, leases_to_forget, leases_to_take
from faust_kinesis.leases import Lease, LeaseTable
from faust_kinesis.options import KinesisOptions
from faust_kinesis.records import RecordBatch
from faust_kinesis.retries import delay, should_log, typed
from faust_kinesis.shard_reader import ShardReader
from faust_kinesis.shard_runner import ShardRunner
from faust_kinesis.shards import Topology, is_missing, list_shards, missing_leases
from faust_kinesis.source import ShardStatus

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_kinesis import KinesisClient

log = logging.getLogger(__name__)

_LEASE_THREADS = 4


class PollingSource:
    """A `ShardSource` over GetRecords. Construct it anywhere; threads and tasks begin with `start`."""

    def __init__(
        self, stream: str, options: KinesisOptions, *, kinesis: KinesisClient, dynamodb: DynamoDBClient
    ) -> None:
        self._stream = stream
        self._options = options
        self._kinesis = kinesis
        self._table = LeaseTable(dynamodb, options.application)
        self._runners: dict[str, ShardRunner] = {}
        self._running: dict[str, asyncio.Task[None]] = {}
        self._leases: dict[str, Lease] = {}
        self._created: set[str] = set()
        self._sights = LeaseSights.none()
        self._topology: Topology | None = None
        self._listed_at = 0.0
        self._ready: deque[RecordBatch] = deque()
        self._wake_reader = asyncio.Event()
        self._wake_sync = asyncio.Event()
        self._syncing = asyncio.Lock()
        self._failure: FaustKinesisError | None = None
        self._fetching = True
        self._main: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """See `ShardSource.start`."""
        self._reads = Calls(self._options.read_threads, "read", stream=self._stream)
        self._writes = Calls(_LEASE_THREADS, "lease", stream=self._stream, lease_table=self._table.name)
        self._main = asyncio.create_task(self._run(), name=f"faust-kinesis-{self._stream}")

    async def next_batch(self, timeout: float) -> RecordBatch | None:  # noqa: ASYNC109 - see the protocol
        """See `ShardSource.next_batch`."""
        if not self._ready and self._failure is None:
            self._wake_reader.clear()
            try:
                await asyncio.wait_for(self._wake_reader.wait(), timeout)
            except TimeoutError:
                return None
        if self._failure is not None:
            raise self._failure
        return self._ready.popleft() if self._ready and self._fetching else None

    def stop_fetching(self) -> None:
        """See `ShardSource.stop_fetching`."""
        self._fetching = False
        for runner in self._runners.values():
            runner.stop_fetching()

    async def stop(self) -> None:
        """See `ShardSource.stop`."""
        self.stop_fetching()
        runners = list(self._runners.values())
        if not await self._end():
            return
        try:
            async with asyncio.timeout(self._options.stop_timeout):
                await asyncio.gather(*(self._give_back(runner) for runner in runners))
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
        others = [
            ShardStatus(lease.key, lease.owner, lease.checkpoint, None, None, 0, lease.ended)
            for lease in list(self._leases.values())
            if lease.key not in runners
        ]
        return sorted([runner.status() for runner in runners.values()] + others, key=lambda shard: shard.shard_id)

    @property
    def failure(self) -> FaustKinesisError | None:
        """See `ShardSource.failure`."""
        return self._failure

    async def _run(self) -> None:
        renewing = asyncio.create_task(self._renew_for_ever())
        try:
            await self._prepare()
            await self._keep_in_sync()
        except Exception as error:  # noqa: BLE001 - whatever ends the source must end the worker
            self._fail(error, f"read stream {self._stream}")
        finally:
            renewing.cancel()
            await asyncio.gather(renewing, return_exceptions=True)

    def _fail(self, error: Exception, action: str) -> None:
        self._failure = self._failure or typed(error, action)
        self._fetching = False
        self._wake_reader.set()

    async def _end(self) -> bool:
        """End all tasks; False when that was done before."""
        if self._main is None:
            return False
        tasks = [self._main, *self._running.values()]
        self._main = None
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return True

    def _close(self) -> None:
        self._reads.close()
        self._writes.close()

    # -- before the first read --

    async def _prepare(self) -> None:
        await self._wait_for_stream()
        await self._wait_for_table()

    async def _wait_for_stream(self) -> None:
        attempt = 0
        while not await self._stream_is_readable():
            attempt += 1
            if should_log(attempt):
                log.warning(
                    "Stream %s does not exist yet; waiting for it. Create it, or correct its name",
                    self._stream,
                    extra={"action": "stream_awaited", "stream": self._stream, "attempt": attempt},
                )
            await asyncio.sleep(delay(attempt, 0.0, base=0.5, most=5.0))

    async def _stream_is_readable(self) -> bool:
        try:
            answer = await self._reads.until_answered(
                f"find stream {self._stream}", self._kinesis.describe_stream_summary, StreamName=self._stream
            )
        except ClientError as error:
            if is_missing(error):
                return False
            raise
        return answer["StreamDescriptionSummary"]["StreamStatus"] in {"ACTIVE", "UPDATING"}

    async def _wait_for_table(self) -> None:
        find = f"find lease table {self._table.name}"
        while (active := await self._writes.until_answered(find, self._table.is_active)) is not True:
            if active is None and not self._options.lease_table_create:
                raise ConfigurationError(
                    f"lease table {self._table.name} does not exist, and lease_table_create is off"
                )
            if active is None:
                await self._writes.until_answered(f"create lease table {self._table.name}", self._table.create)
            await asyncio.sleep(0.2)

    # -- shards and leases --

    async def _keep_in_sync(self) -> None:
        while True:
            self._wake_sync.clear()
            await self._sync(list_anew=time.monotonic() - self._listed_at >= self._options.shard_sync_interval)
            try:
                await asyncio.wait_for(self._wake_sync.wait(), self._options.renew_interval)
            except TimeoutError:
                continue

    async def _sync(self, *, list_anew: bool) -> Topology:
        async with self._syncing:
            topology = await self._list_shards() if list_anew or self._topology is None else self._topology
            leases = await self._writes.until_answered("look at the leases", self._table.scan)
            for lease in missing_leases(topology, leases, self._options.start):
                if await self._writes.until_answered(f"create the lease of {lease.key}", self._table.add, lease):
                    self._created.add(lease.key)
                    leases[lease.key] = lease
            self._topology, self._leases = topology, leases
            await self._forget_ended(leases, topology)
            await self._take(leases)
            return topology

    async def _list_shards(self) -> Topology:
        try:
            topology = await self._reads.until_answered(
                f"list the shards of {self._stream}", list_shards, self._kinesis, self._stream
            )
        except ClientError as error:
            if is_missing(error):
                raise StreamGoneError(f"stream {self._stream} was deleted while it was read") from error
            raise
        self._listed_at = time.monotonic()
        return topology

    async def _forget_ended(self, leases: dict[str, Lease], topology: Topology) -> None:
        for lease in leases_to_forget(leases, topology.shards.keys()):
            await self._writes.until_answered(f"forget the lease of {lease.key}", self._table.forget, lease)
            del leases[lease.key]

    async def _take(self, leases: dict[str, Lease]) -> None:
        now = time.monotonic()
        self._sights = self._sights.after(leases, now)
        for lease in leases_to_take(
            leases,
            self._sights,
            worker_id=self._options.worker_id,
            held=self._runners,
            now=now,
            failover_time=self._options.failover_time,
        ):
            try:
                taken = await self._writes.until_answered(
                    f"take the lease of {lease.key}", self._table.take, lease, self._options.worker_id
                )
            except LeaseLostError:
                continue  # another worker was faster; it shows at the next look
            self._begin(taken, before=lease.owner)

    def _begin(self, lease: Lease, before: str | None) -> None:
        log.info(
            "Reading shard %s of stream %s from %s (lease before: %s)",
            lease.key,
            self._stream,
            lease.checkpoint,
            before or "nobody's",
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
                at_first_start=lease.key in self._created,
            ),
            offer=self._offer,
            sync=self._sync_anew,
        )
        self._created.discard(lease.key)
        if not self._fetching:
            runner.stop_fetching()
        self._runners[lease.key] = runner
        self._running[lease.key] = asyncio.create_task(self._run_shard(runner), name=f"faust-kinesis-{lease.key}")

    async def _sync_anew(self) -> Topology:
        return await self._sync(list_anew=True)

    def _offer(self, batch: RecordBatch) -> None:
        self._ready.append(batch)
        self._wake_reader.set()

    # -- while shards are read --

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
            self._leases[shard_id] = runner.lease
            self._wake_sync.set()

    def _drop(self, shard_id: str, lost: LeaseLostError) -> None:
        log.warning(
            "Stream %s: %s. Its batches stop here; the new owner goes on from the checkpoint",
            self._stream,
            lost,
            extra={"action": "lease_lost", "stream": self._stream, "shard": shard_id},
        )
        self._forget_runner(shard_id)
        for batch in [batch for batch in self._ready if batch.shard_id == shard_id]:
            self._ready.remove(batch)

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
            if task := self._running.get(runner.lease.key):
                task.cancel()
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
                error,
                extra={"action": "lease_not_released", "stream": self._stream, "shard": runner.lease.key},
            )
