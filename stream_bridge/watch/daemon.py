"""The watch: a daemon that makes sure every event of the table reaches the stream.

It observes table, stream and destination every few seconds and enables a destination that fell off. It also reconciles,
event by event, what the table took (its own DynamoDB Stream, which is complete) with what Kinesis shows: a heartbeat
could not say which event was lost, and a count not even whether. An event that is missing for longer than the grace
period is republished from the table; what the table's stream no longer holds, because the watch was away for longer
than its 24 hours, is backfilled.

Delivery: every event that the table takes while the watch runs, or ran less than 24 hours ago, reaches the stream at
least once, however the destination fails.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge

from aws_client.call_pool import CallPool
from aws_client.retry import should_log
from faust_kinesis import errors as transport
from ledger.errors import KinfoldError, TransientError
from stream_bridge.daemon_http import HealthReport
from stream_bridge.watch.destination_health import BridgeVerdict, Inspector, assess
from stream_bridge.watch.followers import StreamTail, TableTail
from stream_bridge.watch.reconciler import Key, StreamReconciler
from stream_bridge.watch.republish import Republisher
from stream_bridge.watch.watermark import PendingWatermarks, Watermark, WatermarkStore, with_gap

log = structlog.get_logger(__name__)

#: Seconds between two saved watermarks, and between two looks at what is missing.
SAVE_INTERVAL: Final = 5.0
_REPUBLISH_INTERVAL: Final = 1.0
#: Events republished in one go.
_BATCH: Final = 5000
#: Seconds without success after which a part of the watch is unhealthy.
_SILENT: Final = 30.0
#: Seconds before a part that failed is tried again, at least and at most.
_RETRY: Final = (2.0, 60.0)


@dataclass(frozen=True, slots=True)
class WatchOptions:
    """``interval``: seconds between two looks at the destination. ``grace``: seconds an event may take to the stream.

    ``native``: whether the destination carries the events; otherwise a relay does, and what is late is only reported.
    ``repair``: whether to change anything at all. ``poll``: seconds between two reads at the tip of a shard.
    """

    interval: float = 5.0
    grace: float = 20.0
    poll: float = 1.0
    native: bool = True
    repair: bool = True


class WatchMetrics:
    """The watch's metrics, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()

        counter = partial(Counter, namespace="kinfold_watch", registry=self.registry)
        gauge = partial(Gauge, namespace="kinfold_watch", registry=self.registry)
        self.healthy = gauge("sound", "1 while table, stream and destination are such that events reach the stream")
        self.native = gauge("native", "1 where the native destination carries the events, 0 where a relay does")
        self.held = gauge("held", "1 while a person holds the watch")
        self.gap = gauge("gap", "1 while a period that the watch was away for is to be backfilled")
        self.gap_read = gauge("gap_read", "events that the backfill of such a period, the last one, has read")
        self.waiting = gauge("waiting", "events that the table took and the stream has not shown yet")
        self.missing = gauge("missing", "events that the stream does not show although their grace is over")
        self.lost = counter("lost", "events found missing from the stream and put on it")
        self.republished = counter("republished", "events put on the stream by the watch")
        self.outages = counter("spells", "times that events did not reach the stream")
        self.repairs = counter("repairs", "times that the watch enabled the destination")


class Watch:
    """The watch of one profile. ``run`` belongs to an event loop; the rest may be called from any thread."""

    def __init__(
        self,
        options: WatchOptions,
        inspector: Inspector,
        republisher: Republisher,
        watermarks: WatermarkStore,
        table_tail: Callable[..., TableTail],
        stream_tail: Callable[..., StreamTail],
        calls: CallPool,
    ) -> None:
        """``table_tail`` and ``stream_tail`` make a tail from the arguments that the watch itself supplies."""
        self._options = options
        self._inspector = inspector
        self._republisher = republisher
        self._watermarks = watermarks
        self._new_table_tail = table_tail
        self._new_stream_tail = stream_tail
        self._calls = calls
        self.reconciler = StreamReconciler(grace=options.grace)
        self._pending = PendingWatermarks()
        self._watermark: Watermark | None = None
        self._table: TableTail | None = None
        self._stream: StreamTail | None = None
        self._verdict = BridgeVerdict("nothing was looked at yet")
        self._held: str | None = None
        self._repaired_at: float | None = None
        self._outage_began: float | None = None
        self._well_at: dict[str, float] = {}
        self._faults: dict[str, str] = {}
        self._missing = 0
        #: Whether a watermark is saved, from which the next watch resumes.
        self.saved = False
        self.metrics = WatchMetrics()
        self.metrics.native.set(options.native)
        self.registry = self.metrics.registry

    async def run(self, stop: asyncio.Event) -> None:
        """Watch until ``stop`` is set. No failure of the endpoint ends it."""
        steps = {
            "look": self._look,
            "table": self._follow_table,
            "stream": self._follow_stream,
            "heal": self._republish_missing,
            "mark": self._save_periodically,
        }
        self._well_at = dict.fromkeys(steps, time.monotonic())
        await self._repeat("mark", self._find_watermark, once=True)
        parts = [asyncio.create_task(self._repeat(name, step), name=f"watch-{name}") for name, step in steps.items()]
        ended = asyncio.create_task(stop.wait())
        await asyncio.wait([ended, *parts], return_when=asyncio.FIRST_COMPLETED)
        self._republisher.stop()
        for task in (ended, *parts):
            task.cancel()
        results = await asyncio.gather(*parts, return_exceptions=True)
        for result in results:
            if isinstance(result, Exception):
                raise result
        try:
            await self._save_watermark()
        except KinfoldError as error:
            log.warning("mark_not_saved", reason=str(error), action="none: the next watch compares some events again")

    @property
    def following(self) -> bool:
        """Whether what is stored from now on reaches the stream, by this watch or by the next one."""
        return all(tail is not None and tail.following for tail in (self._table, self._stream))

    def health(self) -> HealthReport:
        """Unhealthy once a part has not succeeded for half a minute."""
        now = time.monotonic()
        stuck = [
            f"{part}: {self._faults.get(part, 'silent')}"
            for part, at in self._well_at.items()
            if now - at > _SILENT + self._options.interval
        ]
        return HealthReport("; ".join(stuck) or None, self._details())

    def ready(self) -> HealthReport:
        """Ready while events reach the stream, none is missing, and the watch would notice one that is."""
        reasons = [f"{part}: {fault}" for part, fault in self._faults.items()]
        if not self._verdict.healthy:
            reasons.insert(0, self._verdict.reason)
        if not self.following:
            reasons.append("the watch does not follow the streams yet")
        if self._missing:
            reasons.append(f"{self._missing} events are not on the stream")
        if self._watermark is not None and self._watermark.gap is not None:
            reasons.append("a gap is being backfilled")
        return HealthReport("; ".join(reasons) or None, self._details())

    def show(self) -> None:
        """Bring the gauges up to date."""
        self.metrics.healthy.set(self._verdict.healthy)
        self.metrics.missing.set(self._missing)
        self.metrics.waiting.set(self.reconciler.waiting)
        self.metrics.held.set(self._held is not None)
        self.metrics.gap.set(self._watermark is not None and self._watermark.gap is not None)
        self.metrics.gap_read.set(self._republisher.filled)

    def _details(self) -> dict[str, Any]:
        return {
            "sound": self._verdict.healthy,
            "held": self._held,
            "taken": self.reconciler.taken,
            "waiting": self.reconciler.waiting,
            "missing": self._missing,
        }

    async def _repeat(self, part: str, step: Callable[[], Awaitable[None]], *, once: bool = False) -> None:
        """Repeat a step for ever (``once``: until it succeeds); log a failure, and retry with a growing delay."""
        failures = 0
        while True:
            try:
                await step()
            except (KinfoldError, transport.FaustKinesisError) as error:
                failures += 1
                self._faults[part] = str(error)
                if should_log(failures):
                    passes = isinstance(error, TransientError | transport.TransientError)
                    action = "none while it passes" if passes else "mend what the reason names"
                    log.warning("watch_held_up", part=part, reason=str(error), action=action)
                await asyncio.sleep(min(_RETRY[0] * 2 ** (failures - 1), _RETRY[1]))
                continue
            failures = 0
            self._well_at[part] = time.monotonic()
            self._faults.pop(part, None)
            if once:
                return

    async def _find_watermark(self) -> None:
        self._watermark = await self._calls.once(self._watermarks.find)
        self.saved = self._watermark is not None
        if self._watermark is not None:
            log.info("watch_resumed", since=self._watermark.moment.isoformat())

    async def _begin(self, first: Watermark) -> None:
        await self._calls.once(self._watermarks.save, first)
        self._watermark = first
        self.saved = True
        log.info("watch_begins", since=first.moment.isoformat())

    async def _look(self) -> None:
        observation = await self._calls.once(self._inspector.look)
        now = time.monotonic()
        ago = now - self._repaired_at if self._repaired_at is not None else None
        before = self._verdict
        self._held = observation.held
        self._verdict = assess(observation, native=self._options.native, repair=self._options.repair, repaired_ago=ago)
        if not self._verdict.healthy and (before.healthy or before.reason != self._verdict.reason):
            log.warning("not_sound", reason=self._verdict.reason, action=self._verdict.action)
        if self._verdict.healthy:
            if self._outage_began is not None:
                log.info("sound_again", seconds=round(now - self._outage_began, 1), waiting=self.reconciler.waiting)
            self._outage_began = None
        elif self._outage_began is None:
            self._outage_began = now
            self.metrics.outages.inc()
        if self._verdict.action == "enable":
            await self._enable()
            return
        await asyncio.sleep(self._options.interval)

    async def _enable(self) -> None:
        for warning in await self._calls.once(self._inspector.enable):
            log.warning("destination_says", warning=warning)
        self._repaired_at = time.monotonic()
        self.metrics.repairs.inc()
        log.info("destination_enabled", action="what the stream missed is put on it")

    async def _follow_table(self) -> None:
        known = self._table.watermark() if self._table is not None else None
        self._table = self._new_table_tail(
            sink=lambda keys: self._take("table", partial(self.reconciler.took, keys)),
            begins=self._begin,
            lost=self._record_gap,
            full=lambda: self.reconciler.full,
            watermark=known or self._watermark,
            interval=self._options.poll,
        )
        await self._table.run()

    async def _follow_stream(self) -> None:
        since = self._watermark.moment if self._watermark is not None else datetime.now(UTC)
        self._stream = self._new_stream_tail(
            sink=lambda keys: self._take("stream", partial(self.reconciler.shown, keys)),
            since=since,
            interval=self._options.poll,
        )
        await self._stream.run()

    def _take(self, part: str, record: Callable[[float], None]) -> None:
        now = time.monotonic()
        self._well_at[part] = now
        self._faults.pop(part, None)
        record(now)

    def _record_gap(self, since: datetime) -> None:
        self._watermark = with_gap(self._watermark or Watermark(since), since)
        log.error("table_stream_trimmed", since=since.isoformat(), action="what occurred since is backfilled")

    async def _republish_missing(self) -> None:
        now = time.monotonic()
        missing = self.reconciler.missing(now)
        if len(missing) > self._missing:
            aggregate_id, number, _ = missing[-1]
            log.error(
                "events_missing",
                count=len(missing),
                aggregate=aggregate_id,
                sequence_number=number,
                action=self._remedy(),
            )
        self._missing = len(missing)
        if self._may_republish():
            if missing:
                await self._put(missing[:_BATCH])
            elif self._watermark is not None and self._watermark.gap is not None:
                await self._fill(self._watermark.gap)
        await asyncio.sleep(_REPUBLISH_INTERVAL)

    def _may_republish(self) -> bool:
        options = self._options
        return self._verdict.healthy and options.native and options.repair and self._held is None

    def _remedy(self) -> str:
        if self._may_republish():
            return "they are put on the stream now"
        if not self._options.native:
            return "the relay brings them: look at `kinfold bridge status`"
        return "they are put on the stream once the destination works and nobody holds the watch"

    async def _put(self, keys: list[Key]) -> None:
        lost = await self._calls.once(self._republisher.put, keys)
        self.reconciler.restart_grace(keys, time.monotonic())
        self.reconciler.forget(lost)
        self.metrics.lost.inc(len(keys))
        self.metrics.republished.inc(len(keys) - len(lost))
        self._missing = len(self.reconciler.missing(time.monotonic()))
        log.info("events_put", count=len(keys) - len(lost), without_record=len(lost))

    async def _fill(self, gap: tuple[datetime, datetime]) -> None:
        outcome = await self._calls.once(self._republisher.fill, gap)
        if outcome.ended and self._watermark is not None and self._watermark.gap == gap:
            self._watermark = replace(self._watermark, gap=None)
            await self._calls.once(self._watermarks.save, self._watermark)
        self.metrics.republished.inc(outcome.published)
        log.info("gap_filled", since=gap[0].isoformat(), until=gap[1].isoformat(), events=outcome.published)

    async def _save_periodically(self) -> None:
        await asyncio.sleep(SAVE_INTERVAL)
        await self._save_watermark()

    async def _save_watermark(self) -> None:
        watermark = self._table.watermark() if self._table is not None else None
        if watermark is not None:
            self._pending.add(self.reconciler.taken, watermark)
        reached = self._pending.reached(self.reconciler.settled)
        if reached is not None:
            self._watermark = replace(reached, gap=self._watermark.gap if self._watermark is not None else None)
        if self._watermark is not None:
            await self._calls.once(self._watermarks.save, self._watermark)
            self.saved = True
