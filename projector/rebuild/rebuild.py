"""A new generation of a read model beside the live one: made, fed, filled, verified, shown.

1. The new generation is named in the control row, and so fed by the workers from then on.
2. Wait until no worker can hold an older control row. A worker reads the control rows again before it completes a
   batch (``batch_handler``), so every batch completed from now on is fed to the new generation too; the events of
   every batch completed before are in the events table by now.
3. Scan the events table in parallel segments and apply the pages with the workers' own engine: its writes are
   conditional and it repairs gaps, so scan and workers may meet on any account in any order.
4. Verify every account against the event store; catch up those that are behind, whatever the stream lost.
5. Flip in one conditional write, wait until no reader can hold an older control row, and stop feeding the old one.

Progress is in the control row: a killed rebuild resumes on the next run, whoever starts it.
"""

import threading
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import structlog

from ledger.errors import PermanentError, ResourceError
from ledger.runtime.progress_bar import ProgressReport
from ledger.store.errors import CorruptHistoryError
from ledger.store.parallel_scan import Cursor, Item, RetryUntilStopped, SegmentedScan, approximate_size, read_segments
from ledger.store.resumable_job import JobHeartbeat
from ledger.store.stored_event import StoredEvent
from ledger.store.tables import ensure_table
from projector.components import Components
from projector.engine.control_rows import MAX_AGE
from projector.engine.provisioning import prepare
from projector.engine.read_model import ReadModel, table_spec
from projector.projection import Projection
from projector.rebuild.build_lease import Build, BuildStore, Phase
from projector.rebuild.carry_halts import carry_halts
from projector.verification.repair import CatchUp
from projector.verification.verification import Finding, verification_of

log = structlog.get_logger(__name__)

#: Seconds until every worker and reader has seen a change of a control row: the oldest view, and a margin for a slow
#: clock and for a batch that is just being completed.
SEEN_BY_ALL: Final = MAX_AGE + 1.0
#: Rows that a segment keeps in memory: a scan returns an account's events together.
_CACHE: Final = 5_000


class UnverifiedError(PermanentError):
    """The new generation does not agree with the event store; it was not shown to readers."""


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """One projection's new generation: ``events`` in the table, ``accounts`` verified, ``halted`` among them.

    ``brought_up``: accounts that were still behind when verified and were caught up; without writes meanwhile, none.
    """

    projection: str
    generation: int
    replaced: int
    events: int
    accounts: int
    halted: int
    brought_up: int


class Rebuild:
    """Rebuilds read models. For one run; not thread-safe."""

    def __init__(self, components: Components, progress: ProgressReport) -> None:
        self._components = components
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
        is running (nothing is changed then), JobLostError when this one was given up or taken over,
        UnverifiedError, StormError, or ResourceError.
        """
        retry, components = self._retry, self._components
        retry(partial(prepare, components.clients.dynamodb, components.names, projections))
        retry(components.skips.load)
        found = {each.name: retry(partial(self._builds.read, each.name)) for each in projections}
        dead = [build for build in found.values() if build is not None]
        if dead:
            self._progress.report("an earlier rebuild did not end; checking whether it is still running ...")
        retry(partial(self._builds.check_interrupted, dead, self._stop))
        started = [self._begin(each, found[each.name], segments) for each in projections]
        with JobHeartbeat(self._builds, started, self._stop) as heartbeat:
            if any(build.phase == "joining" for build in started):
                self._progress.report(f"waiting {SEEN_BY_ALL:.0f} s until every worker feeds the new generation ...")
                self._join(heartbeat)
            rebuilt = [self._watched(projection, heartbeat) for projection in projections]
        self._progress.report(f"waiting {SEEN_BY_ALL:.0f} s until every reader has moved to the new generation ...")
        self._stop.wait(SEEN_BY_ALL)
        for each in rebuilt:
            for generation in self._unseen[each.projection]:
                retry(partial(self._builds.retire, each.projection, generation))
        return rebuilt

    def _begin(self, projection: Projection[Any], dead: Build | None, segments: int) -> Build:
        if dead is not None:
            build = self._retry(partial(self._builds.take_over, dead, self._token))
            self._progress.report(f"{projection.name}: resuming generation {dead.generation} ({dead.phase})")
            return build
        components = self._components
        active = components.generations.read(projection.name).active
        generation = self._builds.last(projection.name) + 1
        ensure_table(components.clients.dynamodb, table_spec(projection, components.names.profile, generation))
        build = self._builds.start(projection.name, generation, self._token, active=active, segments=segments)
        self._progress.report(f"{projection.name}: building generation {generation} beside {active}")
        return build

    def _join(self, heartbeat: JobHeartbeat[Build]) -> None:
        self._stop.wait(SEEN_BY_ALL)
        heartbeat.check()
        for build in heartbeat.jobs:
            if build.phase == "joining":
                self._enter(heartbeat, build.name, "scanning")

    def _enter(self, heartbeat: JobHeartbeat[Build], name: str, phase: Phase) -> None:
        """Begin a phase from the table's beginning, and record it at once."""
        heartbeat.save(name, phase=phase, cursors=(Cursor(),) * len(heartbeat.job(name).cursors))

    def _watched(self, projection: Projection[Any], heartbeat: JobHeartbeat[Build]) -> Rebuilt:
        try:
            return self._rebuild(projection, heartbeat)
        except ResourceError:
            # Giving a build up deletes its table while it runs: report the former, not the latter.
            heartbeat.check()
            heartbeat.save(projection.name)
            raise

    def _rebuild(self, projection: Projection[Any], heartbeat: JobHeartbeat[Build]) -> Rebuilt:
        components, name = self._components, projection.name
        before = components.generations.read(name)
        replaced = before.active
        model = components.models.model(projection, heartbeat.job(name).generation)
        if heartbeat.job(name).phase == "scanning":
            self._scan(model, heartbeat)
            heartbeat.check()
            active, feeder = components.models.model(projection, replaced), components.feeder(model, cache_size=1)
            self._retry(partial(carry_halts, components.letters, active, model, feeder))
        # Always from its beginning: what an earlier run found wrong is not recorded.
        self._enter(heartbeat, name, "verifying")
        build = heartbeat.job(name)
        figures = self._verify(model, heartbeat)
        heartbeat.end(name, self._builds.flip)
        log.info("generation_flipped", projection=name, generation=build.generation, replaced=replaced)
        self._progress.report(f"{name}: readers see generation {build.generation} now")
        self._unseen[name] = before.fed - {build.generation}
        return Rebuilt(name, build.generation, replaced, *figures)

    def _scan(self, model: ReadModel[Any], heartbeat: JobHeartbeat[Build]) -> None:
        """Apply every event of the table to the new generation, a feeder for each thread."""
        local = threading.local()

        def apply(items: list[Item]) -> None:
            if not hasattr(local, "feeder"):
                local.feeder = self._components.feeder(model, cache_size=_CACHE)
            local.feeder.feed(_events(items))

        name = model.projection.name
        scan = SegmentedScan(self._components.clients.dynamodb, self._components.names.events)
        cursors = self._begin_phase(name, heartbeat)
        read_segments(scan, cursors, apply, partial(self._moved, heartbeat, name), self._retry)

    def _verify(self, model: ReadModel[Any], heartbeat: JobHeartbeat[Build]) -> tuple[int, int, int, int]:
        """Check every account; returns the numbers of events, accounts, halted accounts and those that were caught up.

        Raises UnverifiedError.
        """
        name = model.projection.name
        wrong: list[Finding] = []
        brought_up: list[str] = []

        def collect(finding: Finding) -> None:
            if finding.done:
                brought_up.append(finding.now.account_id)
            if finding.now.kind in {"wrong", "unreadable", "extra"}:
                wrong.append(finding)

        repairer = CatchUp(self._components.feeder(model, cache_size=_CACHE))
        verification = verification_of(self._components, model, self._retry, collect, repairer=repairer, wait=0)
        verification.everything(self._begin_phase(name, heartbeat), partial(self._moved, heartbeat, name))
        heartbeat.check()
        if wrong:
            named = "; ".join(f"account {each.now.account_id}: {each.now.reason}" for each in wrong[:10])
            generation = heartbeat.job(name).generation
            raise UnverifiedError(
                f"generation {generation} of {name} does not agree with the event store in {len(wrong)} accounts and "
                f"is not shown to readers: {named}. End it with `kinfold projector rebuild --abort --projection "
                f"{name}`, fix the cause, and rebuild."
            )
        tally = verification.tally
        read = heartbeat.job(name).read
        return read, sum(tally.values()), tally["halted"], len(brought_up)

    def _begin_phase(self, name: str, heartbeat: JobHeartbeat[Build]) -> tuple[Cursor, ...]:
        build = heartbeat.job(name)
        total = self._retry(partial(approximate_size, self._components.clients.dynamodb, self._components.names.events))
        self._progress.begin(name, build.phase, total, build.read)
        return build.cursors

    def _moved(self, heartbeat: JobHeartbeat[Build], name: str, segment: int, cursor: Cursor) -> None:
        self._progress.advance(name, heartbeat.advance(name, segment, cursor))


def _events(items: Sequence[Item]) -> list[StoredEvent]:
    """The events among the items; what is none is met again by the engine, as a gap, and by verification."""
    events = []
    for item in items:
        try:
            events.append(StoredEvent.from_item(item))
        except CorruptHistoryError as error:
            log.warning("not_an_event", account=item["aggregateId"]["S"], reason=str(error))
    return events
