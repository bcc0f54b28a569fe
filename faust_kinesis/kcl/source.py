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
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from faust_kinesis.errors import DaemonError, StreamGoneError
from faust_kinesis.kcl.coordination.bootstrap import prepare
from faust_kinesis.kcl.coordination.lease_handoff import LeaseHandOff
from faust_kinesis.kcl.coordination.tables import CoordinationTables
from faust_kinesis.kcl.coordination.watchdog import LeaderWatch, Watchdog
from faust_kinesis.kcl.processes.daemon import Daemon
from faust_kinesis.kcl.processes.daemon_log import DaemonLog
from faust_kinesis.kcl.processes.properties import Endpoints, daemon_properties, jvm_options, report_interval
from faust_kinesis.kcl.session import Session
from faust_kinesis.leased_source import LeasedSource, end_tasks
from faust_kinesis.loop_watchdog import LoopWatchdog
from faust_kinesis.options import KinesisOptions
from faust_kinesis.source import ShardStatus

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_kinesis import KinesisClient

_MAX_MESSAGE = 1 << 26
"""GetRecords gives at most 10 MiB, which base64 and JSON make half as much again; KPL's small records more."""
_TICK = 1.0
_DRAIN_POLL = 0.05


class KclSource(LeasedSource):
    """A `ShardSource` over the MultiLangDaemon.

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
        super().__init__(stream, options, kinesis=kinesis, dynamodb=dynamodb)
        self._endpoints = Endpoints(kinesis.meta.region_name, kinesis.meta.endpoint_url, dynamodb.meta.endpoint_url)
        self._coordination = CoordinationTables(dynamodb, options.application)
        self._hand_off = LeaseHandOff(self._table, self._coordination, options, self._writes)
        self._child = child
        self._daemon_log = DaemonLog(stream, options.worker_id)
        self._sessions: dict[Session, asyncio.Task[None]] = {}
        self._watchdog = Watchdog(options)
        self._leader_watch = LeaderWatch(report_interval(options), options.failover_time)
        self._answered_at = float("-inf")
        self._daemon: Daemon | None = None

    @override
    def stop_fetching(self) -> None:
        super().stop_fetching()
        for session in self._sessions:
            session.stop_handing_out()

    @override
    async def _release_leases(self, main: asyncio.Task[None]) -> None:
        """Let Java store the last checkpoints, shard by shard; then kill it, and hand off its leases here.

        By itself it would end only after they expired, and leave its name on them.
        """
        if self._daemon is None:
            return
        self._daemon.terminate()
        for session in self._sessions:
            session.close()
        while True:
            if main.done() or not any(session.shard_id and not session.over for session in self._sessions):
                break
            await asyncio.sleep(_DRAIN_POLL)
        self._daemon.kill()
        await asyncio.wait({main})
        await self._hand_off.leave()

    @override
    def _own_status(self) -> Mapping[str, ShardStatus]:
        mine = [session.status() for session in list(self._sessions) if session.shard_id and not session.over]
        counters = {key: lease.counter for key, lease in self._coordinator.leases.items()}
        return {shard.shard_id: replace(shard, lease_counter=counters.get(shard.shard_id, 0)) for shard in mine}

    @override
    async def _run(self) -> None:
        daemon = Daemon(
            self._daemon_log, self._options.java_heap_mb, jvm=jvm_options(self._endpoints), child=self._child
        )
        server: asyncio.Server | None = None
        try:
            started_at = await prepare(self._coordinator, self._table, self._coordination, self._options, self._writes)
            server = await asyncio.start_unix_server(self._serve, daemon.socket, limit=_MAX_MESSAGE)
            daemon.start(
                daemon_properties(self._options, stream=self._stream, endpoints=self._endpoints, started_at=started_at)
            )
            self._daemon = daemon
            self._watchdog.daemon_started(time.monotonic())
            await self._watch(daemon)
        finally:
            await asyncio.shield(self._clean_up(daemon, server))

    async def _watch(self, daemon: Daemon) -> None:
        """Wait for the daemon's end. Raises DaemonError, AgentHungError or StreamGoneError, unless stopping."""
        looking = asyncio.create_task(self._observe())
        loop_watchdog = LoopWatchdog(self._options.batch_timeout)
        watching = asyncio.create_task(self._check_signs(loop_watchdog))
        try:
            awaited: list[asyncio.Future[Any]] = [looking, watching, daemon.ended]
            await asyncio.wait(awaited, return_when=asyncio.FIRST_COMPLETED)
            for task in (looking, watching):
                if task.done():
                    task.result()
            if self._main is not None:
                raise DaemonError(f"KCL's daemon ended with exit code {daemon.ended.result()}")
        finally:
            loop_watchdog.end()
            await end_tasks(looking, watching)

    async def _clean_up(self, daemon: Daemon, server: asyncio.Server | None) -> None:
        if server is not None:
            server.close()
        daemon.kill()
        await end_tasks(*self._sessions.values())
        await daemon.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        session = Session(
            reader, writer, stream=self._stream, options=self._options, ready=self._ready, moved=self._agent_moved
        )
        task = asyncio.current_task()
        assert task is not None
        self._sessions[session] = task
        if not self._fetching:
            session.stop_handing_out()
        if self._main is None:
            session.close()
        try:
            await session.run()
        except asyncio.CancelledError:
            return  # only whoever cancels a connection's task awaits it
        except Exception as error:  # noqa: BLE001 - whatever breaks a shard must end the worker
            self._fail(error, f"read shard {session.shard_id} of stream {self._stream} with KCL")
        finally:
            self._ready.withdraw(session)
            del self._sessions[session]
            writer.close()

    @override
    def _fail(self, error: Exception, action: str) -> None:
        if self._main is None:
            return  # a daemon that is being stopped breaks its connections
        if isinstance(error, DaemonError) and self._daemon_log.complaints:
            error = DaemonError(f"{error}; KCL said: {self._daemon_log.complaints}")
        super()._fail(error, action)
        if self._daemon is not None:
            self._daemon.kill()

    async def _observe(self) -> None:
        """Refresh what `status` shows, and watch Java and the leader.

        Raises StreamGoneError, or DynamoDB's permanent failures.
        """
        next_listing = 0.0
        while True:
            began = time.monotonic()
            await self._coordinator.look()
            sign = await self._writes.retry_until_answered(
                "look for KCL", self._coordination.last_sign_of, self._options.worker_id
            )
            if began >= next_listing:
                if await self._coordinator.stream_status() is None:
                    raise StreamGoneError(f"stream {self._stream} was deleted while it was read")
                next_listing = began + self._options.shard_sync_interval
            now = time.monotonic()
            if now - began > self._options.renew_interval:
                self._watchdog.endpoint_was_silent(now)
            self._watchdog.daemon_signed(sign, now)
            self._answered_at = now
            await self._look_at_leader(sign)
            await asyncio.sleep(self._options.renew_interval)

    async def _look_at_leader(self, own_report: str | None) -> None:
        """Replace a leader that died. Raises DynamoDB's permanent failures."""
        retried = self._writes.retry_until_answered
        lock = await retried("look at the leader's lock", self._coordination.leader_lock)
        report = await retried("look for the leader", self._coordination.last_sign_of, lock.owner) if lock else None
        silent = self._leader_watch.is_silent(lock, report, own_report, time.monotonic())
        if lock is not None and silent and lock.owner != self._options.worker_id:
            await self._hand_off.replace_leader(lock)

    async def _check_signs(self, loop_watchdog: LoopWatchdog) -> None:
        """Raises DaemonError, AgentHungError. Ends the process when the event loop itself is blocked for as long."""
        while True:
            loop_watchdog.feed()
            now = time.monotonic()
            for session in self._sessions:
                self._watchdog.daemon_spoke(session.heard_at)
            self._watchdog.check_agent(sum(session.tracker.pending for session in self._sessions), now)
            if now - self._answered_at < 2 * self._options.renew_interval:
                self._watchdog.check_daemon(now)
            await asyncio.sleep(_TICK)

    def _agent_moved(self) -> None:
        self._watchdog.agent_moved(time.monotonic())
