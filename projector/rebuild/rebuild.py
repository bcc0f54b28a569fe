"""A new generation of a read model beside the live one: made, fed, filled, verified, shown.

1. The new generation is named in the control row, and so fed by the workers from then on.
2. Wait until no worker can hold an older control row. A worker reads the control rows again before it completes a
   batch (``batch_handler``), so every batch completed from now on is fed to the new generation too; the events of
   every batch completed before are in the events table by now.
3. Read the events table once for all projections: each aggregate's rows are written, and what is then stored is
   compared with what it should be (``builder``). Writes are conditional, so reading and workers may meet on any
   aggregate in any order. What the stream lost before no longer matters.
4. Flip in one conditional write, wait until no reader can hold an older control row, and stop feeding the old one.

Progress is in the control rows: a killed rebuild resumes on the next run, whoever starts it. Each projection has a
build of its own: one that fails or is given up leaves the others alone.
"""

import threading
import uuid
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import structlog

from ledger.errors import PermanentError
from ledger.runtime.measuring.capacity import Units
from ledger.runtime.progress_bar import ProgressReport
from ledger.runtime.rate_limiter import RateLimiter, limit_reads
from ledger.store.parallel_scan import Cursor, RetryUntilStopped, approximate_size
from ledger.store.tables import ensure_table
from projector.components import Components
from projector.engine.control_rows import MAX_AGE
from projector.engine.provisioning import prepare
from projector.engine.read_model import table_spec
from projector.projection import Projection
from projector.rebuild.build_lease import Build, BuildStore
from projector.rebuild.builder import ChildBuilders
from projector.rebuild.carry_halts import carry_halts
from projector.rebuild.lane import Lane
from projector.verification.history_reading import PageDone, histories, read_histories
from projector.verification.reading_processes import Processes, read_in_processes, recreated

log = structlog.get_logger(__name__)

#: Seconds until every worker and reader has seen a change of a control row: the oldest view, and a margin for a slow
#: clock and for a batch that is just being completed.
SEEN_BY_ALL: Final = MAX_AGE + 1.0


class UnverifiedError(PermanentError):
    """The new generation does not agree with the event store; it was not shown to readers."""


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """One projection's new generation: ``events`` in the table, ``aggregates`` verified, ``halted`` among them.

    ``brought_up``: aggregates that were still behind when verified and were caught up; without writes meanwhile, none.
    """

    projection: str
    generation: int
    replaced: int
    events: int
    aggregates: int
    halted: int
    brought_up: int


class Rebuild:
    """Rebuilds read models. For one run; not thread-safe."""

    def __init__(self, components: Components, progress: ProgressReport, processes: Processes | None = None) -> None:
        self._components = components
        self._processes = processes or Processes()
        self._builds = BuildStore(components.clients.dynamodb, components.names.projections)
        self._progress = progress
        self._stop = threading.Event()
        self._retry = RetryUntilStopped(self._stop, progress.report)
        self._token = uuid.uuid4().hex
        #: Generations that were fed before the flip, also those that a killed rebuild left behind.
        self._unseen: dict[str, frozenset[int]] = {}

    def run(self, projections: Sequence[Projection[Any]], *, segments: int) -> list[Rebuilt]:
        """Rebuild each projection and flip it. ``segments``: parallel readers; a resumed build keeps its own.

        A transient fault is retried for as long as it lasts. Raises JobRunningError when another rebuild of one of them
        is running (nothing is changed then). Raises JobLostError when one was given up or taken over, UnverifiedError,
        StormError, or ResourceError, once the others are shown to readers.
        """
        retry, components = self._retry, self._components
        retry(partial(prepare, components.clients.dynamodb, components.names, projections))
        retry(components.skips.load)
        found = {each.name: retry(partial(self._builds.read, each.name)) for each in projections}
        dead = [build for build in found.values() if build is not None]
        if dead:
            self._progress.report("an earlier rebuild did not end; checking whether it is still running ...")
        retry(partial(self._builds.check_interrupted, dead, self._stop))
        lanes = [self._begin(each, found[each.name], segments) for each in projections]
        with ExitStack() as beating:
            for lane in lanes:
                beating.enter_context(lane.heartbeat)
            self._join(lanes)
            for together in _groups(lanes):
                self._read(together)
            rebuilt = [shown for lane in lanes if (shown := lane.guarded(partial(self._show, lane))) is not None]
        if rebuilt:
            self._retire(rebuilt)
        for lane in lanes:
            if lane.error is not None:
                raise lane.error
        return rebuilt

    def _begin(self, projection: Projection[Any], dead: Build | None, segments: int) -> Lane:
        components = self._components
        if dead is not None:
            build = self._retry(partial(self._builds.take_over, dead, self._token))
            self._progress.report(f"{projection.name}: resuming generation {dead.generation} ({dead.phase})")
        else:
            active = components.generations.read(projection.name).active
            generation = self._builds.last(projection.name) + 1
            ensure_table(components.clients.dynamodb, table_spec(projection, components.names.profile, generation))
            build = self._builds.start(projection.name, generation, self._token, active=active, segments=segments)
            self._progress.report(f"{projection.name}: building generation {generation} beside {active}")
        reading = dead.token if dead is not None and build.phase == "reading" else self._token
        return Lane(components, projection, self._builds, build, self._progress.report, reading=reading)

    def _join(self, lanes: Sequence[Lane]) -> None:
        """Wait until every worker feeds what is new, and begin the readings that have not begun."""
        phases = {lane.name: lane.heartbeat.job(lane.name).phase for lane in lanes}
        if "joining" in phases.values():
            self._progress.report(f"waiting {SEEN_BY_ALL:.0f} s until every worker feeds the new generation ...")
            self._stop.wait(SEEN_BY_ALL)
        for lane in lanes:
            if phases[lane.name] != "reading":
                lane.guarded(lane.heartbeat.check)
                lane.guarded(lane.begin)

    def _read(self, lanes: Sequence[Lane]) -> None:
        """Read the events table once, from where all of the lanes have read it, for those that work."""
        cursors = [min(each, key=lambda cursor: (cursor.items, cursor.ended)) for each in _by_segment(lanes)]
        dynamodb, table = self._components.clients.dynamodb, self._components.names.events
        work, total = ", ".join(lane.name for lane in lanes), self._retry(partial(approximate_size, dynamodb, table))
        units = self._processes.units
        if units is not None:
            units.take()
        for lane in lanes:
            lane.start_from(cursors)
            lane.heartbeat.begin_reading(lane.name, total)
        self._progress.begin(work, "reading", total, sum(cursor.items for cursor in cursors))

        def moved(
            segment: int, cursor: Cursor, begun: Mapping[str, int], counts: Mapping[str, Mapping[str, int]]
        ) -> None:
            cursors[segment] = cursor
            spent = units.take() if units is not None else None
            sharing = sum(lane.error is None for lane in lanes)
            for lane in lanes:
                cost = _cost(lane, spent, table, sharing) if spent is not None else None
                lane.moved(segment, cursor, {**begun, **counts.get(lane.name, {})}, cost)
            self._progress.advance(work, sum(each.items for each in cursors))

        if self._processes.count > 1:
            self._read_in_processes(lanes, cursors, moved)
            return
        if self._processes.read_units is not None:
            limit_reads(dynamodb, table, RateLimiter(self._processes.read_units, self._stop))
        read_histories(histories(dynamodb, table), tuple(cursors), partial(_working, lanes), moved, self._retry)

    def _read_in_processes(self, lanes: Sequence[Lane], cursors: Sequence[Cursor], moved: PageDone) -> None:
        by_name = {lane.name: lane for lane in lanes}

        def received(kind: str, *what: Any) -> None:
            match kind:
                case "report":
                    self._progress.report(*what)
                case "found":
                    by_name[what[0]].builder.wrong.append(what[1])
                case "ended-alone":
                    by_name[what[0]].guarded(partial(_raise, recreated(what[1], what[2])))

        read_in_processes(
            self._processes,
            ChildBuilders({lane.name: lane.generation for lane in lanes}),
            tuple(cursors),
            lambda: [lane.name for lane in _working(lanes)],
            moved,
            received,
        )

    def _show(self, lane: Lane) -> Rebuilt | None:
        """Flip, when everything was read and agrees. Raises UnverifiedError."""
        if lane.error is not None:
            return None
        components, name, generation = self._components, lane.name, lane.generation
        lane.heartbeat.check()
        before = components.generations.read(name)
        active, new = (components.models.model(lane.projection, each) for each in (before.active, generation))
        feeder = components.feeder(new, cache_size=1)
        halted = lane.count("halted")
        for aggregate_id, was_halted in lane.retry(
            partial(carry_halts, components.letters, active, new, feeder)
        ).items():
            halted += lane.builder.check(aggregate_id)["halted"] - was_halted
        wrong = lane.builder.wrong
        if wrong:
            named = "; ".join(f"aggregate {each.now.aggregate_id}: {each.now.reason}" for each in wrong[:10])
            raise UnverifiedError(
                f"generation {generation} of {name} does not agree with the event store in {len(wrong)} aggregates and "
                f"is not shown to readers: {named}. End it with `kinfold projector rebuild --abort --projection "
                f"{name}`, fix the cause, and rebuild."
            )
        lane.heartbeat.end(name, self._builds.flip)
        log.info("generation_flipped", projection=name, generation=generation, replaced=before.active)
        self._progress.report(f"{name}: readers see generation {generation} now")
        self._unseen[name] = before.fed - {generation}
        aggregates, brought_up = lane.aggregates, lane.count("broughtUp")
        return Rebuilt(name, generation, before.active, lane.read, aggregates, halted, brought_up)

    def _retire(self, rebuilt: Sequence[Rebuilt]) -> None:
        self._progress.report(f"waiting {SEEN_BY_ALL:.0f} s until every reader has moved to the new generation ...")
        self._stop.wait(SEEN_BY_ALL)
        for each in rebuilt:
            for generation in self._unseen[each.projection]:
                self._retry(partial(self._builds.retire, each.projection, generation))


def _cost(lane: Lane, spent: Mapping[str, Units], events: str, sharing: int) -> Units:
    """What was spent on a lane: all on its own table, and its share of the reading."""
    own, reading = spent.get(lane.table, Units()), spent.get(events, Units())
    return Units(own.read + reading.read / max(sharing, 1), own.written)


def _raise(error: Exception) -> None:
    raise error


def _working(lanes: Sequence[Lane]) -> Sequence[Lane]:
    return [lane for lane in lanes if lane.error is None and not lane.stop.is_set()]


def _groups(lanes: Sequence[Lane]) -> list[list[Lane]]:
    """The lanes by what they read together: only what was read together has comparable cursors."""
    groups: defaultdict[tuple[str, int], list[Lane]] = defaultdict(list)
    for lane in lanes:
        if lane.error is None:
            groups[lane.reading, len(lane.cursors)].append(lane)
    return list(groups.values())


def _by_segment(lanes: Sequence[Lane]) -> list[tuple[Cursor, ...]]:
    return list(zip(*(lane.cursors for lane in lanes), strict=True))
