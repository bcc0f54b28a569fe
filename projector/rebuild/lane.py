"""One projection's part in a reading that several share: its build, how far it is, and what ends it alone."""

import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import structlog

from ledger.errors import KinfoldError, ResourceError
from ledger.runtime.measuring.capacity import Units
from ledger.store.parallel_scan import Cursor, RetryUntilStopped
from ledger.store.resumable_job import JobHeartbeat
from projector.components import Components
from projector.projection import Projection
from projector.rebuild.build_lease import Build, BuildStore
from projector.rebuild.builder import Builder
from projector.verification.history_reading import AGGREGATES, Follower, ScannedAggregate, begun

log = structlog.get_logger(__name__)
T = TypeVar("T")


class Lane:
    """A ``HistoryReader`` that builds one generation. When it fails, ``error`` says why, and the others go on."""

    def __init__(
        self,
        components: Components,
        projection: Projection[Any],
        builds: BuildStore,
        build: Build,
        report: Callable[[str], None],
        *,
        reading: str,
    ) -> None:
        """``reading``: builds with the same one were last read together, so that their cursors can be compared."""
        self.projection = projection
        self.generation = build.generation
        self.reading = reading
        self.error: KinfoldError | None = None
        self.stop = threading.Event()
        self.heartbeat = JobHeartbeat(builds, [build], self.stop)
        self.retry = RetryUntilStopped(self.stop, report)
        model = components.models.model(projection, build.generation)
        self.table = model.table
        self.builder = Builder(components, model, self.retry)
        self._cursors = list(build.cursors)
        self._held: set[int] = set()

    @property
    def name(self) -> str:
        """The projection's name."""
        return self.projection.name

    @property
    def cursors(self) -> Sequence[Cursor]:
        """How far each segment is, and what was counted up to there."""
        return self._cursors

    @property
    def read(self) -> int:
        """Events read so far."""
        return sum(cursor.items for cursor in self._cursors)

    def count(self, what: str) -> int:
        """What was counted so far; after a resumption, findings that were read again may count twice."""
        return sum(cursor.counts.get(what, 0) for cursor in self._cursors)

    @property
    def aggregates(self) -> int:
        """Aggregates of its projection's types that were read so far."""
        return sum(self.count(begun(kind)) for kind in self.projection.aggregates)

    def begin(self) -> None:
        """Begin the reading from the table's beginning, and record that at once."""
        self._cursors = [Cursor()] * len(self._cursors)
        self.heartbeat.save(self.name, phase="reading", cursors=tuple(self._cursors))

    def start_from(self, cursors: Sequence[Cursor]) -> None:
        """Go on from these cursors, none of which is further than its own.

        How many aggregates began up to there is the same for every lane; of what a lane found itself, what is read
        again counts twice.
        """
        self._cursors = [
            replace(cursor, counts={**_of(own, aggregates=False), **_of(cursor, aggregates=True)})
            for cursor, own in zip(cursors, self._cursors, strict=True)
        ]

    def takes(self, aggregate_id: str) -> bool:
        """See ``HistoryReader``."""
        return self.builder.takes(aggregate_id)

    def follow(self, aggregate_id: str) -> Follower:
        """See ``HistoryReader``."""
        return self.builder.follow(aggregate_id)

    def finish(self, aggregates: Sequence[ScannedAggregate]) -> Mapping[str, int]:
        """See ``HistoryReader``. What fails ends the lane."""
        return self.guarded(lambda: self.builder.finish([each for each in aggregates if self._follows(each)])) or {}

    def moved(self, segment: int, cursor: Cursor, counts: Mapping[str, int], units: Units | None) -> None:
        """A segment is done up to ``cursor``; ``units``: what the lane has cost since the last call, if that is known.

        It is not recorded beyond what is wrong, which a later run has to find again: no finding is recorded.
        """
        if self.error is not None:
            return
        fresh = cursor.items - self._cursors[segment].items
        counted = Counter(self._cursors[segment].counts) + Counter(counts)
        self._cursors[segment] = replace(cursor, counts=dict(counted))
        if counts.get("wrong"):
            self._held.add(segment)
        at = {segment: self._cursors[segment]} if segment not in self._held else {}
        self.heartbeat.advance(self.name, fresh, units, at)

    def guarded(self, work: Callable[[], T]) -> T | None:
        """Do some of the lane's work; an error of ours ends the lane, and None is returned."""
        try:
            return work()
        except KinfoldError as error:
            self.fail(error)
            return None

    def _follows(self, aggregate: ScannedAggregate) -> bool:
        return not aggregate.whole or self.name in aggregate.followers

    def fail(self, error: KinfoldError) -> None:
        """End the lane."""
        try:
            # What has ended the beats is the reason for what fails after it.
            self.heartbeat.check()
            if isinstance(error, ResourceError):
                # Giving a build up deletes its table while it runs: report the former, not the latter.
                self.heartbeat.save(self.name)
        except KinfoldError as reason:
            error = reason
        if self.error is None:
            self.error = error
            log.warning("rebuild_ends", projection=self.name, generation=self.generation, reason=str(error))
        self.stop.set()


def _of(cursor: Cursor, *, aggregates: bool) -> dict[str, int]:
    """What the cursor has counted: how many aggregates began, or all else."""
    return {name: count for name, count in cursor.counts.items() if name.startswith(AGGREGATES) == aggregates}
