"""The source on Amazon's KCL: any number of workers share a stream, and KCL decides who reads which shard.

KCL runs as its MultiLangDaemon, a Java process that this worker starts and watches (`daemon`). The daemon starts a
byte pipe for each shard, which connects to a Unix socket here; each connection is a `Session`. So one event loop serves
all shards, and KCL alone does leases, balancing, resharding and reading.

    _run -- prepare        waits for the stream, creates tables and first leases
         +- Daemon         Java; when it ends, the source ends
         +- _observe       leases as the table shows them, signs of life, agents that hang
    _serve ...             one a shard
"""

from __future__ import annotations

import asyncio
import faulthandler
import logging
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from aws_client.call_pool import CallPool
from aws_client.failures import is_not_found
from faust_kinesis.errors import DaemonError, FaustKinesisError, StreamGoneError, typed
from faust_kinesis.kcl.bootstrap import prepare
from faust_kinesis.kcl.coordination_tables import CoordinationTables
from faust_kinesis.kcl.daemon import Daemon
from faust_kinesis.kcl.daemon_log import DaemonLog
from faust_kinesis.kcl.lease_handoff import hand_off
from faust_kinesis.kcl.properties import Endpoints, daemon_properties, jvm_options
from faust_kinesis.kcl.session import Session
from faust_kinesis.kcl.watchdog import Watchdog
from faust_kinesis.leases.coordinator import LeaseCoordinator
from faust_kinesis.leases.table import Lease, LeaseTable
from faust_kinesis.options import KinesisOptions
from faust_kinesis.ready_batches import ReadyBatches
from faust_kinesis.records import RecordBatch
from faust_kinesis.source import ShardStatus

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_kinesis import KinesisClient

log = logging.getLogger(__name__)

_MAX_MESSAGE = 1 << 26
"""GetRecords gives at most 10 MiB, which base64 and JSON make half as much again; KPL's small records more."""
_THREADS = 4
_TICK = 1.0
_DRAIN_POLL = 0.05


class KclSource:
    """A `ShardSource` over the MultiLangDaemon. Construct it anywhere; it starts with `start`.

    The worker ends when Java, a child or a connection breaks, when Java shows no sign of life for `daemon_timeout`, and
    when agents hold batches and complete none for `batch_timeout`; what was completed may then still be checkpointed,
    and nothing else is. No process of the daemon outlives the worker.
    """

    def __init__(
        self,
        stream: str,
        options: KinesisOptions,
        *,
        kinesis: KinesisClient,
        dynamodb: DynamoDBClient,
        child: Sequence[str] | None = None,
    ) -> None:
        """`child`: a command in place of the byte pipe."""
        self._stream = stream
        self._options = options
        self._kinesis = kinesis
        self._endpoints = Endpoints(kinesis.meta.region_name, kinesis.meta.endpoint_url, dynamodb.meta.endpoint_url)
        self._table = LeaseTable(dynamodb, options.application)
        self._coordination = CoordinationTables(dynamodb, options.application)
        self._child = child
        self._daemon_log = DaemonLog(stream, options.worker_id)
        self._leases: Mapping[str, Lease] = {}
        self._sessions: dict[Session, asyncio.Task[None]] = {}
        self._ready = ReadyBatches()
        self._watchdog = Watchdog(options)
        self._answered_at = float("-inf")
        self._fetching = True
        self._stopping = False
        self._daemon: Daemon | None = None
        self._main: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """See `ShardSource.start`."""
        self._calls = CallPool(_THREADS, "kcl", stream=self._stream)
        self._main = asyncio.create_task(self._run(), name=f"faust-kinesis-kcl-{self._stream}")

    async def next_batch(self, timeout: float) -> RecordBatch | None:  # noqa: ASYNC109 - see the protocol
        """See `ShardSource.next_batch`."""
        return await self._ready.next(timeout)

    def stop_fetching(self) -> None:
        """See `ShardSource.stop_fetching`."""
        self._fetching = False
        self._ready.close()
        for session in self._sessions:
            session.stop_handing_out()

    async def stop(self) -> None:
        """See `ShardSource.stop`.

        Java stores the last checkpoints, shard by shard. Then it is killed and its leases are handed off here: by
        itself it would end only after they expired, and leave its name on them.
        """
        self.stop_fetching()
        main, self._main, self._stopping = self._main, None, True
        if main is None:
            return
        try:
            async with asyncio.timeout(self._options.stop_timeout):
                if self._daemon is not None:
                    self._daemon.terminate()
                    for session in self._sessions:
                        session.close()
                    await self._drained(main)
                    self._daemon.kill()
                    await asyncio.wait({main})
                    await hand_off(self._table, self._coordination, self._options, self._calls)
        except TimeoutError:
            log.error(  # noqa: TRY400 - the timeout's traceback tells nothing
                "Stream %s: KCL did not end within %.0f s; leases it still has expire after %.0f s",
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
        main, self._main, self._stopping = self._main, None, True
        if main is not None:
            await self._end(main)

    def status(self) -> list[ShardStatus]:
        """See `ShardSource.status`. Other workers' shards are as of the last scan of the lease table."""
        counters = {lease.key: lease.counter for lease in self._leases.values()}
        mine = {
            session.shard_id: replace(session.status(), lease_counter=counters.get(session.shard_id, 0))
            for session in list(self._sessions)
            if session.shard_id and not session.over
        }
        others = [lease.status() for lease in self._leases.values() if lease.key not in mine]
        return sorted([*mine.values(), *others], key=lambda shard: shard.shard_id)

    @property
    def failure(self) -> FaustKinesisError | None:
        """See `ShardSource.failure`."""
        return self._ready.failure

    def opened(self, session: Session) -> None:
        """See `session.Worker.opened`."""
        log.info(
            "Reading shard %s of stream %s from %s",
            session.shard_id,
            self._stream,
            session.status().checkpoint,
            extra={
                "action": "shard_started",
                "stream": self._stream,
                "shard": session.shard_id,
                "checkpoint": session.status().checkpoint,
            },
        )

    def offer(self, session: Session, batch: RecordBatch) -> None:
        """See `session.Worker.offer`."""
        self._ready.add(batch, session)

    def moved(self) -> None:
        """See `session.Worker.moved`."""
        self._watchdog.agent_moved(time.monotonic())

    def withdraw(self, session: Session) -> None:
        """See `session.Worker.withdraw`."""
        self._ready.withdraw(session)

    async def _run(self) -> None:
        try:
            await self._run_daemon()
        except Exception as error:  # noqa: BLE001 - whatever ends the source must end the worker
            self._fail(error, f"read stream {self._stream} with KCL")

    async def _run_daemon(self) -> None:
        daemon = Daemon(
            self._daemon_log, self._options.java_heap_mb, jvm=jvm_options(self._endpoints), child=self._child
        )
        server: asyncio.Server | None = None
        try:
            started_at = await self._prepare()
            server = await asyncio.start_unix_server(self._serve, daemon.socket, limit=_MAX_MESSAGE)
            daemon.start(self._properties(daemon, started_at))
            self._daemon = daemon
            self._watchdog.daemon_started(time.monotonic())
            await self._watch(daemon)
        finally:
            await asyncio.shield(self._clean_up(daemon, server))

    async def _prepare(self) -> datetime | None:
        coordinator = LeaseCoordinator(
            self._stream,
            self._options,
            kinesis=self._kinesis,
            table=self._table,
            reads=self._calls,
            writes=self._calls,
        )
        started_at = await prepare(coordinator, self._table, self._coordination, self._options, self._calls)
        self._leases = dict(coordinator.leases)
        return started_at

    def _properties(self, daemon: Daemon, started_at: datetime | None) -> dict[str, str]:
        return daemon_properties(
            self._options,
            stream=self._stream,
            endpoints=self._endpoints,
            started_at=started_at,
            executable=daemon.executable,
        )

    async def _watch(self, daemon: Daemon) -> None:
        """Wait for the daemon's end. Raises DaemonError, AgentHungError or StreamGoneError, unless stopping."""
        looking = asyncio.create_task(self._observe())
        watching = asyncio.create_task(self._check_signs())
        try:
            awaited: list[asyncio.Future[Any]] = [looking, watching, daemon.ended]
            await asyncio.wait(awaited, return_when=asyncio.FIRST_COMPLETED)
            for task in (looking, watching):
                if task.done():
                    task.result()
            if not self._stopping:
                raise DaemonError(f"KCL's daemon ended with exit code {daemon.ended.result()}")
        finally:
            faulthandler.cancel_dump_traceback_later()
            looking.cancel()
            watching.cancel()
            await asyncio.gather(looking, watching, return_exceptions=True)

    async def _clean_up(self, daemon: Daemon, server: asyncio.Server | None) -> None:
        if server is not None:
            server.close()
        daemon.kill()
        tasks = list(self._sessions.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await daemon.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        session = Session(reader, writer, stream=self._stream, options=self._options, worker=self)
        task = asyncio.current_task()
        assert task is not None
        self._sessions[session] = task
        if not self._fetching:
            session.stop_handing_out()
        if self._stopping:
            session.close()
        try:
            await session.run()
        except asyncio.CancelledError:
            return  # only whoever cancels a connection's task awaits it
        except Exception as error:  # noqa: BLE001 - whatever breaks a shard must end the worker
            self._fail(error, f"read shard {session.shard_id} of stream {self._stream} with KCL")
        finally:
            self.withdraw(session)
            del self._sessions[session]
            writer.close()

    def _fail(self, error: Exception, action: str) -> None:
        if self._stopping:
            return  # a daemon that is being stopped breaks its connections
        if isinstance(error, DaemonError) and self._daemon_log.complaints:
            error = DaemonError(f"{error}; KCL said: {self._daemon_log.complaints}")
        self._ready.fail(typed(error, action))
        self.stop_fetching()
        if self._daemon is not None:
            self._daemon.kill()

    async def _observe(self) -> None:
        """Refresh what `status` shows, and watch Java. Raises StreamGoneError, or DynamoDB's permanent failures."""
        next_listing = 0.0
        while True:
            began = time.monotonic()
            self._leases = await self._calls.retry_until_answered("look at the leases", self._table.scan)
            sign = await self._calls.retry_until_answered(
                "look for KCL", self._coordination.last_sign_of, self._options.worker_id
            )
            if began >= next_listing:
                await self._find_stream()
                next_listing = began + self._options.shard_sync_interval
            now = time.monotonic()
            if now - began > self._options.renew_interval:
                self._watchdog.endpoint_was_silent(now)
            self._watchdog.daemon_signed(sign, now)
            self._answered_at = now
            await asyncio.sleep(self._options.renew_interval)

    async def _find_stream(self) -> None:
        try:
            await self._calls.retry_until_answered(
                f"find stream {self._stream}", self._kinesis.describe_stream_summary, StreamName=self._stream
            )
        except ClientError as error:
            if is_not_found(error):
                raise StreamGoneError(f"stream {self._stream} was deleted while it was read") from error
            raise

    async def _check_signs(self) -> None:
        """Raises DaemonError, AgentHungError. Ends the process when the event loop itself is blocked for as long."""
        while True:
            if sys.__stderr__ is not None:
                faulthandler.dump_traceback_later(self._options.batch_timeout, exit=True, file=sys.__stderr__)
            now = time.monotonic()
            for session in self._sessions:
                self._watchdog.daemon_spoke(session.heard_at)
            self._watchdog.check_agent(sum(session.tracker.pending for session in self._sessions), now)
            if now - self._answered_at < 2 * self._options.renew_interval:
                self._watchdog.check_daemon(now)
            await asyncio.sleep(_TICK)

    async def _end(self, main: asyncio.Task[None]) -> None:
        main.cancel()
        await asyncio.gather(main, return_exceptions=True)
        self._calls.close()

    async def _drained(self, main: asyncio.Task[None]) -> None:
        """Wait until every shard has stored its last checkpoint, or the daemon has ended."""
        while True:
            if main.done() or not any(session.shard_id and not session.over for session in self._sessions):
                return
            await asyncio.sleep(_DRAIN_POLL)
