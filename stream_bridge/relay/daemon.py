"""The relay: copies the table's DynamoDB Stream to the Kinesis stream, in order per aggregate; one is active per table.

Delivery: at least once, and the first occurrences of an aggregate's events on the stream are 1, 2, 3, ... in order,
whatever is killed, refused or repeated on the way. docs/design.md, "Relay", says why.
"""

import asyncio
import platform
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

import structlog

from aws_client.call_pool import CallPool
from faust_kinesis.errors import LeaseLostError
from faust_kinesis.leases.table import Lease, LeaseTable
from ledger.errors import ResourceError, TransientError
from ledger.runtime.aws import Clients, aws_errors
from ledger.store.event_store import EventStore
from ledger.store.tables import Names
from stream_bridge.dynamodb_stream import StreamDescription, TableStream
from stream_bridge.relay.backlog import oldest_change
from stream_bridge.relay.checkpoints import RelayCheckpoints, shard_of
from stream_bridge.relay.health import RelayHealth, Role
from stream_bridge.relay.leader_lease import LeaseNotHeldError, RelayLease, Term
from stream_bridge.relay.lookback import Lookback
from stream_bridge.relay.sender import OrderedSender
from stream_bridge.relay.shard import ShardRelay
from stream_bridge.settings import RelaySettings

log = structlog.get_logger(__name__)

#: Seconds between two listings of the shards, of a stream that is still being made, and of one with no shard to read.
SYNC_INTERVAL: Final = 10.0
#: Seconds between two looks for the oldest change that no checkpoint covers.
LOOK_INTERVAL: Final = 60.0
_ENABLING_INTERVAL: Final = 0.2
_IDLE_INTERVAL: Final = 1.0
#: Seconds between two progress lines in the log.
_PROGRESS_INTERVAL: Final = 10.0
#: Seconds for which a stopping relay puts what it has read.
DRAIN_TIMEOUT: Final = 20.0


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of a relay. ``new_sender`` makes the sender of a term."""

    stream: TableStream
    table: LeaseTable
    lease: RelayLease
    leases: CallPool
    health: RelayHealth
    new_sender: Callable[[Term], OrderedSender]


class Relay:
    """Waits for the lease, relays while it holds it, and waits again once it is lost."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._health = parts.health
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Stop reading; ``run`` returns once what was read is put and checkpointed, and the lease is released."""
        self._stopping.set()

    async def run(self) -> None:
        """Run until ``stop``. Raises ResourceError or a FaustKinesisError that retrying cannot help."""
        while not self._stopping.is_set():
            term = await self._wait_for_lease()
            if term is None:
                continue
            self._health.role = Role.ACTIVE
            log.info("relay_active", worker=self._parts.lease.worker_id, table=self._parts.stream.table)
            try:
                await self._serve(term)
            except (LeaseLostError, LeaseNotHeldError) as error:
                if term.failure is not None:
                    raise term.failure from error
                self._health.role = Role.STANDBY
                log.warning("relay_stepped_down", reason=str(error), action="waits to take over again")
            finally:
                await self._parts.lease.release(term)
        log.info("relay_stopped", records=self._health.relayed)

    async def _wait_for_lease(self) -> Term | None:
        logged, lease = None, self._parts.lease
        while not self._stopping.is_set():
            term: Term | None = await self._or_stop(lease.take())
            self._health.holder = lease.holder
            if term is not None:
                return term
            self._health.role = Role.STANDBY
            if logged != lease.holder:
                logged = lease.holder
                takes_over = f"takes over {lease.failover_time:g} s after that one falls silent"
                log.info("relay_waits", holder=logged, action=takes_over)
            await self._or_stop(asyncio.sleep(lease.failover_time / 10))
        return None

    async def _or_stop(self, work: Coroutine[Any, Any, Any]) -> Any:
        """The work's result, or None when the relay is stopped first."""
        tasks = [asyncio.ensure_future(work), asyncio.ensure_future(self._stopping.wait())]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            return tasks[0].result() if tasks[0].done() else None
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, term: Term) -> None:
        work = _Work(self._parts, term)
        tasks = {
            asyncio.create_task(work.run(), name="relay-shards"),
            asyncio.create_task(self._parts.lease.keep(term), name="relay-lease"),
            asyncio.create_task(self._log_progress(), name="relay-progress"),
        }
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            done, _ = await asyncio.wait({*tasks, stopping}, return_when=asyncio.FIRST_COMPLETED)
            for task in done - {stopping}:
                await task
            self._health.role = Role.STOPPING
            log.info("relay_stopping", action="puts and checkpoints what was read")
            try:
                async with asyncio.timeout(DRAIN_TIMEOUT):
                    await work.drain()
            except TimeoutError:
                log.warning("relay_not_drained", action="none: the next relay reads it again from the checkpoint")
        finally:
            for task in (*tasks, stopping):
                task.cancel()
            await asyncio.gather(*tasks, stopping, return_exceptions=True)
            await work.abort()

    async def _log_progress(self) -> None:
        logged = 0
        while True:
            await asyncio.sleep(_PROGRESS_INTERVAL)
            count = self._health.relayed
            if count != logged:
                log.info("relaying", records=count, lag_seconds=round(self._health.lag, 1))
                logged = count


@contextmanager
def build_relay(settings: RelaySettings, health: RelayHealth, clients: Clients, prompt: Clients) -> Iterator[Relay]:
    """A relay that may run once, in the block.

    ``prompt``: clients whose calls end while the lease holds (``put_timeouts``), for what needs the lease: puts, and
    writes to the lease itself.
    """
    names, worker_id = Names(settings.profile, settings.events_table), settings.worker_id or platform.node()
    reads, leases, puts = (
        CallPool(threads, f"relay-{name}", listener=health) for name, threads in (("read", 8), ("lease", 4), ("put", 2))
    )
    loads = CallPool(8, "relay-load", listener=health, transient=lambda error: isinstance(error, TransientError))
    lookback = Lookback(EventStore(clients.dynamodb, names.events), loads)
    table = LeaseTable(prompt.dynamodb, names.relay)

    new_sender = partial(
        OrderedSender,
        stream=names.stream,
        table=names.events,
        region=settings.region,
        kinesis=prompt.kinesis,
        puts=puts,
        lookback=lookback,
        health=health,
    )
    try:
        yield Relay(
            Parts(
                stream=TableStream(clients.dynamodb, clients.dynamodbstreams, names.events, reads),
                table=table,
                lease=RelayLease(table, leases, worker_id, settings.failover_time),
                leases=leases,
                health=health,
                new_sender=new_sender,
            )
        )
    finally:
        for calls in (reads, leases, puts, loads):
            calls.close()


class _Work:
    """The shards of one term: each is read once its parent is relayed completely."""

    def __init__(self, parts: Parts, term: Term) -> None:
        self._parts = parts
        self._term = term
        self._sender = parts.new_sender(term)
        self._rows = RelayCheckpoints(parts.table, parts.leases, parts.lease.worker_id)
        self._running: dict[str, tuple[ShardRelay, asyncio.Task[None]]] = {}
        self._arn: str | None = None
        self._draining = False

    async def run(self) -> None:
        """Follow the stream's shards for ever. Raises what a shard raises, or ResourceError when the stream is gone."""
        look_at = 0.0
        while not self._draining:
            self._term.check()
            stream = await self._describe()
            rows = await self._rows.sync(stream)
            if time.monotonic() >= look_at:
                self._sender.since = await self._oldest_change(stream)
                look_at = time.monotonic() + LOOK_INTERVAL
            self._start_shards(stream, rows)
            for key in await self._wait_for_an_end():
                _, task = self._running.pop(key)
                await task

    async def drain(self) -> None:
        """Stop reading; put and checkpoint what was read."""
        self._draining = True
        for shard, _ in self._running.values():
            shard.stop_reading()
        await asyncio.gather(*(task for _, task in self._running.values()))

    async def abort(self) -> None:
        """Cancel whatever still runs. What was read and not put is read again from the checkpoint."""
        tasks = [task for _, task in self._running.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._sender.stop()

    async def _describe(self) -> StreamDescription:
        stream = await self._parts.stream.describe()
        while stream.status == "ENABLING":
            await asyncio.sleep(_ENABLING_INTERVAL)
            stream = await self._parts.stream.describe()
        if self._arn not in {None, stream.arn}:
            raise ResourceError(
                f"the stream of table {self._parts.stream.table} was replaced by another while it was relayed; start "
                f"the relay again, and `kinfold bridge backfill` what the old one still held"
            )
        self._arn = stream.arn
        return stream

    async def _oldest_change(self, stream: StreamDescription) -> datetime:
        """When the oldest change was made that no checkpoint covers; now, where there is none."""
        now, table = datetime.now(UTC), self._parts.stream
        with aws_errors(f"reading the stream of table {table.table}"):
            found = await asyncio.gather(
                *(
                    table.calls.retry_until_answered(
                        f"find the oldest change in {shard_of(row)}",
                        oldest_change,
                        table.streams,
                        stream.arn,
                        shard_of(row),
                        row.checkpoint,
                    )
                    for row in await self._rows.unfinished(stream)
                )
            )
        return min([now, *filter(None, found)])

    def _start_shards(self, stream: StreamDescription, rows: Sequence[Lease]) -> None:
        for row in rows:
            if row.key in self._running:
                continue
            shard = ShardRelay(
                row,
                table=self._parts.table,
                calls=self._parts.leases,
                reader=self._parts.stream.reader(stream, shard_of(row), row.checkpoint),
                sender=self._sender,
                health=self._parts.health,
            )
            log.info("shard_started", shard=shard_of(row), checkpoint=row.checkpoint)
            self._running[row.key] = (shard, asyncio.create_task(shard.run(), name=f"relay-{row.key}"))

    async def _wait_for_an_end(self) -> list[str]:
        """Wait for a shard to end, for ``SYNC_INTERVAL`` at most; returns the keys of those that did."""
        tasks = [task for _, task in self._running.values()]
        if not tasks:
            await asyncio.sleep(_IDLE_INTERVAL)
            return []
        await asyncio.wait(tasks, timeout=SYNC_INTERVAL, return_when=asyncio.FIRST_COMPLETED)
        return [key for key, (_, task) in self._running.items() if task.done()]
