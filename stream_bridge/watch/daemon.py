"""The watch: a daemon that sees to it that every event of the table is on the stream.

It looks at table, stream and destination every few seconds and enables a destination that fell off. And it compares,
event by event, what the table took (its own DynamoDB Stream, which is complete) with what Kinesis shows: no heartbeat
could say which event was lost, and a count not even whether. What is missing for longer than a grace is put on the
stream from the table, one by one; what the table's stream no longer tells, because the watch was away for longer than
its 24 hours, by a backfill of that spell.

Delivery: every event that the table takes while the watch runs, or ran less than 24 hours ago, is on the stream at
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

from aws_client.call_pool import CallPool
from aws_client.retry import should_log
from faust_kinesis.errors import FaustKinesisError
from ledger.errors import KinfoldError
from stream_bridge.daemon_http import Standing
from stream_bridge.watch.destination_health import Judgement, judge
from stream_bridge.watch.followers import StreamTail, TableTail
from stream_bridge.watch.inspection import Inspector
from stream_bridge.watch.metrics import WatchMetrics
from stream_bridge.watch.reconciler import Witness
from stream_bridge.watch.republish import Healer
from stream_bridge.watch.watermark import Mark, Marks, Pending, with_gap

log = structlog.get_logger(__name__)

#: Seconds between two marks, and between two looks at what is missing.
MARK: Final = 5.0
_HEAL: Final = 1.0
#: Events put on the stream in one go.
_PUT: Final = 5000
#: Seconds for which nothing was read of a stream, or nothing could be looked at, before the watch is not well.
_SILENT: Final = 30.0
#: Seconds before a part that failed is tried again, at least and at most.
_AGAIN: Final = (2.0, 60.0)


@dataclass(frozen=True, slots=True)
class WatchOptions:
    """``interval``: seconds between two looks at the destination. ``grace``: seconds an event may take to be shown.

    ``native``: whether the destination carries the events; otherwise a relay does, and what is late is only told.
    ``repair``: whether to change anything at all. ``poll``: seconds between two reads at the end of a shard.
    """

    interval: float = 5.0
    grace: float = 20.0
    poll: float = 1.0
    native: bool = True
    repair: bool = True


class Watch:
    """One watch of one profile. ``run`` on an event loop; the rest may be asked from any thread."""

    def __init__(
        self,
        options: WatchOptions,
        inspector: Inspector,
        healer: Healer,
        marks: Marks,
        table_tail: Callable[..., TableTail],
        stream_tail: Callable[..., StreamTail],
        calls: CallPool,
    ) -> None:
        """``table_tail`` and ``stream_tail`` are the classes, all but what the watch brings itself."""
        self._options = options
        self._inspector = inspector
        self._healer = healer
        self._marks = marks
        self._new_table_tail = table_tail
        self._new_stream_tail = stream_tail
        self._calls = calls
        self.witness = Witness(grace=options.grace)
        self._pending = Pending()
        self._mark: Mark | None = None
        self._table: TableTail | None = None
        self._stream: StreamTail | None = None
        self._judgement = Judgement(False, reason="nothing was looked at yet")
        self._held: str | None = None
        self._repaired_at: float | None = None
        self._spell_began: float | None = None
        self._well_at: dict[str, float] = {}
        self._faults: dict[str, str] = {}
        self._missing = 0
        #: Whether a watch that is started after this one goes on from a mark.
        self.marked = False
        self.metrics = WatchMetrics()
        self.registry = self.metrics.registry

    async def run(self, stop: asyncio.Event) -> None:
        """Watch until ``stop`` is set. Nothing that the endpoint does ends it."""
        for part in ("look", "table", "stream", "heal", "mark"):
            self._well_at[part] = time.monotonic()
        await self._repeat("mark", self._find_mark, until=lambda: True)
        parts = [
            asyncio.create_task(self._repeat(name, step), name=f"watch-{name}")
            for name, step in {
                "look": self._look,
                "table": self._follow_table,
                "stream": self._follow_stream,
                "heal": self._heal,
                "mark": self._save_mark,
            }.items()
        ]
        ended = asyncio.create_task(stop.wait())
        await asyncio.wait([ended, *parts], return_when=asyncio.FIRST_COMPLETED)
        for task in (ended, *parts):
            task.cancel()
        results = await asyncio.gather(*parts, return_exceptions=True)
        for result in results:
            if isinstance(result, Exception):
                raise result
        try:
            await self._keep_mark()
        except KinfoldError as error:
            log.warning("mark_not_saved", reason=str(error), action="none: the next watch compares some events again")

    @property
    def following(self) -> bool:
        """Whether both streams are being read."""
        return all(tail is not None and tail.read_at is not None for tail in (self._table, self._stream))

    def health(self) -> Standing:
        """Unwell when a part has failed for half a minute."""
        now = time.monotonic()
        stuck = [
            f"{part}: {self._faults.get(part, 'silent')}"
            for part, at in self._well_at.items()
            if now - at > _SILENT + self._options.interval
        ]
        return Standing("; ".join(stuck) or None, self._details())

    def ready(self) -> Standing:
        """Ready while events reach the stream, none is missing, and the watch would see it if one were."""
        reasons = [f"{part}: {fault}" for part, fault in self._faults.items()]
        if not self._judgement.sound:
            reasons.insert(0, self._judgement.reason)
        if self._missing:
            reasons.append(f"{self._missing} events are not on the stream")
        if self._mark is not None and self._mark.gap is not None:
            reasons.append("a spell is being backfilled")
        return Standing("; ".join(reasons) or None, self._details())

    def show(self) -> None:
        """Bring the gauges up to date."""
        self.metrics.sound.set(self._judgement.sound)
        self.metrics.missing.set(self._missing)
        self.metrics.waiting.set(self.witness.waiting)
        self.metrics.held.set(self._held is not None)

    def _details(self) -> dict[str, Any]:
        return {
            "sound": self._judgement.sound,
            "held": self._held,
            "taken": self.witness.taken,
            "waiting": self.witness.waiting,
            "missing": self._missing,
        }

    async def _repeat(
        self, part: str, step: Callable[[], Awaitable[None]], *, until: Callable[[], bool] = lambda: False
    ) -> None:
        """Do a step again and again; one that fails is told, and tried again after a while."""
        failures = 0
        while True:
            try:
                await step()
            except (KinfoldError, FaustKinesisError) as error:
                failures += 1
                self._faults[part] = str(error)
                if should_log(failures):
                    log.warning("watch_held_up", part=part, reason=str(error), action="none while it passes")
                await asyncio.sleep(min(_AGAIN[0] * 2 ** (failures - 1), _AGAIN[1]))
                continue
            failures = 0
            self._well_at[part] = time.monotonic()
            self._faults.pop(part, None)
            if until():
                return

    async def _find_mark(self) -> None:
        self._mark = await self._calls.once(self._marks.find)
        if self._mark is not None:
            log.info("watch_resumed", since=self._mark.moment.isoformat())

    async def _look(self) -> None:
        sight = await self._calls.once(self._inspector.look)
        now = time.monotonic()
        ago = now - self._repaired_at if self._repaired_at is not None else None
        before = self._judgement
        self._held = sight.held
        self._judgement = judge(sight, native=self._options.native, repair=self._options.repair, repaired_ago=ago)
        if not self._judgement.sound and (before.sound or before.reason != self._judgement.reason):
            log.warning("not_sound", reason=self._judgement.reason, action=self._judgement.action)
        if self._judgement.sound:
            self._end_spell(now)
        elif self._spell_began is None:
            self._spell_began = now
            self.metrics.spells.inc()
        if self._judgement.action == "enable":
            await self._enable()
            return
        await asyncio.sleep(self._options.interval)

    def _end_spell(self, now: float) -> None:
        if self._spell_began is not None:
            log.info("sound_again", seconds=round(now - self._spell_began, 1), waiting=self.witness.waiting)
            self._spell_began = None

    async def _enable(self) -> None:
        for warning in await self._calls.once(self._inspector.enable):
            log.warning("destination_says", warning=warning)
        self._repaired_at = time.monotonic()
        self.metrics.repairs.inc()
        log.info("destination_enabled", action="what the stream missed is put on it")

    async def _follow_table(self) -> None:
        known = self._table.mark() if self._table is not None else None
        self._table = self._new_table_tail(
            sink=lambda keys: self._take("table", partial(self.witness.took, keys)),
            lost=self._note_gap,
            full=lambda: self.witness.full,
            mark=known or self._mark,
            interval=self._options.poll,
        )
        await self._table.run()

    async def _follow_stream(self) -> None:
        since = self._mark.moment if self._mark is not None else datetime.now(UTC)
        self._stream = self._new_stream_tail(
            sink=lambda keys: self._take("stream", partial(self.witness.shown, keys)),
            since=since,
            interval=self._options.poll,
        )
        await self._stream.run()

    def _take(self, part: str, tell: Callable[[float], None]) -> None:
        now = time.monotonic()
        self._well_at[part] = now
        self._faults.pop(part, None)
        tell(now)

    def _note_gap(self, since: datetime) -> None:
        mark = self._mark or Mark(since)
        self._mark = with_gap(mark, since)
        log.error("table_stream_trimmed", since=since.isoformat(), action="that spell is backfilled")

    async def _heal(self) -> None:
        now = time.monotonic()
        missing = self.witness.missing(now)
        if len(missing) > self._missing:
            account_id, number = missing[-1]
            log.error(
                "events_missing", count=len(missing), account=account_id, sequence_number=number, action=self._remedy()
            )
        self._missing = len(missing)
        if self._may_heal():
            if missing:
                await self._put(missing[:_PUT])
            elif self._mark is not None and self._mark.gap is not None:
                await self._fill(self._mark.gap)
        await asyncio.sleep(_HEAL)

    def _may_heal(self) -> bool:
        options = self._options
        return self._judgement.sound and options.native and options.repair and self._held is None

    def _remedy(self) -> str:
        if self._may_heal():
            return "they are put on the stream now"
        if not self._options.native:
            return "the relay brings them: look at `kinfold bridge status`"
        return "they are put on the stream once the destination works and nobody holds the watch"

    async def _put(self, keys: list[tuple[str, int]]) -> None:
        lost = await self._calls.once(self._healer.put, keys)
        self.witness.look_again(keys, time.monotonic())
        self.witness.forget(lost)
        self.metrics.lost.inc(len(keys))
        self.metrics.republished.inc(len(keys) - len(lost))
        self._missing = len(self.witness.missing(time.monotonic()))
        log.info("events_put", count=len(keys) - len(lost), without_record=len(lost))

    async def _fill(self, gap: tuple[datetime, datetime]) -> None:
        outcome = await self._calls.once(self._healer.fill, gap)
        if outcome.ended and self._mark is not None and self._mark.gap == gap:
            self._mark = replace(self._mark, gap=None)
            await self._calls.once(self._marks.save, self._mark)
        self.metrics.republished.inc(outcome.published)
        log.info("gap_filled", since=gap[0].isoformat(), until=gap[1].isoformat(), events=outcome.published)

    async def _save_mark(self) -> None:
        await asyncio.sleep(MARK)
        await self._keep_mark()

    async def _keep_mark(self) -> None:
        mark = self._table.mark() if self._table is not None else None
        if mark is not None:
            self._pending.add(self.witness.taken, mark)
        reached = self._pending.reached(self.witness.settled)
        if reached is not None:
            self._mark = replace(reached, gap=self._mark.gap if self._mark is not None else None)
        if self._mark is not None:
            await self._calls.once(self._marks.save, self._mark)
            self.marked = True
