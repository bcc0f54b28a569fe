"""Fills a new generation from the histories of one reading of the events table, and verifies what is then stored.

An aggregate whose whole history was shown gets its rows at once, each on the condition that there is none yet: parts
before their head, as the engine writes them, so that builder and workers may meet on any aggregate in any order. What
somebody else has begun, and whatever was not shown in order, the engine folds on, which repairs any gap by itself.
"""

import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from ledger.errors import KinfoldError
from ledger.store.parallel_scan import RetryUntilStopped
from ledger.store.stored_event import StoredEvent
from projector.components import Components
from projector.engine.fold import storable
from projector.engine.read_model import ReadModel, RowChange
from projector.ingest.feeder import Feeder
from projector.projection import HEAD, Row
from projector.verification.expected_rows import ExpectedRows
from projector.verification.history_reading import ScannedAggregate
from projector.verification.reading_processes import Send, described
from projector.verification.repair import CatchUp
from projector.verification.verification import Finding, verification_of

#: Rows that a segment keeps in memory of the aggregates that the engine folds.
_CACHE: Final = 1_000
#: Outcomes that forbid a flip.
WRONG: Final = frozenset({"wrong", "unreadable", "extra"})


class _Rows:
    """The rows of one aggregate: by the fold, which are written, and by the witness, with which they are compared."""

    def __init__(self, written: ExpectedRows[Any], witnessed: ExpectedRows[Any]) -> None:
        self.written = written
        self.witnessed = witnessed

    def add(self, event: StoredEvent) -> None:
        self.written.add(event)
        if self.witnessed is not self.written:
            self.witnessed.add(event)


class Builder:
    """Builds one generation: a ``HistoryReader``. ``wrong`` has the findings that forbid to show it."""

    def __init__(self, components: Components, model: ReadModel[Any], retry: RetryUntilStopped) -> None:
        self.wrong: list[Finding] = []
        self._components = components
        self._model = model
        self._retry = retry
        self._local = threading.local()
        repairer = CatchUp(components.feeder(model, cache_size=_CACHE))
        self._verification = verification_of(components, model, retry, self._found, repairer=repairer, wait=0)

    @property
    def name(self) -> str:
        """The projection's name."""
        return self._model.projection.name

    def takes(self, aggregate_id: str) -> bool:
        """Whether the read model is to have the aggregate."""
        return self._model.projection.takes(aggregate_id)

    def follow(self, aggregate_id: str) -> _Rows:
        """The aggregate's rows, as its events come."""
        projection, witnessed = self._model.projection, self._verification.follow(aggregate_id)
        if projection.witness is None:
            return _Rows(witnessed, witnessed)
        skipped = self._components.skips.of(projection.name)
        return _Rows(ExpectedRows(projection, aggregate_id, skipped, witnessed=False), witnessed)

    def finish(self, aggregates: Sequence[ScannedAggregate]) -> Mapping[str, int]:
        """Write the aggregates' rows, verify what is stored, and count those halted, brought up and wrong."""
        counts: Counter[str] = Counter()
        rows = {each.aggregate_id: each.followers[self.name] for each in aggregates if each.whole}
        made = {name: each.written.rows() for name, each in rows.items() if each.written.failure is None}
        fresh = {name: each for name, each in made.items() if storable(self._model.projection, each.values())}
        self._retry(partial(self._insert, list(fresh.values())))
        agreeing = self._verification.agreeing({name: rows[name].witnessed for name in fresh})
        for aggregate in aggregates:
            if not (aggregate.whole and aggregate.aggregate_id in agreeing):
                counts += self._catch_up(aggregate)
        return counts

    def check(self, aggregate_id: str) -> Counter[str]:
        """Verify one aggregate by a reading of its own, and count it."""
        finding = self._verification.check(aggregate_id)
        if finding is None:
            return Counter()
        kind = finding.now.kind
        return Counter(halted=kind == "halted", wrong=kind in WRONG, broughtUp=bool(finding.done))

    def _catch_up(self, aggregate: ScannedAggregate) -> Counter[str]:
        """Have the engine fold the aggregate as far as it was shown; it reads what is missing."""
        if aggregate.last is not None and not self._retry.stop.is_set():
            self._retry(partial(self._feeder.feed, [aggregate.last]))
        return self.check(aggregate.aggregate_id)

    def _insert(self, aggregates: Sequence[Mapping[str, Row[Any]]]) -> None:
        """Insert rows where there are none; a head only where all its parts were."""
        parts = [RowChange(row, None) for rows in aggregates for part, row in rows.items() if part != HEAD]
        lost = {aggregate_id for aggregate_id, _ in self._model.write(parts)} if parts else set()
        heads = [RowChange(rows[HEAD], None) for rows in aggregates if rows[HEAD].aggregate_id not in lost]
        if heads:
            self._model.write(heads)

    @property
    def _feeder(self) -> Feeder:
        """One for each thread: an engine is for one call at a time."""
        if not hasattr(self._local, "feeder"):
            self._local.feeder = self._components.feeder(self._model, cache_size=_CACHE)
        feeder: Feeder = self._local.feeder
        return feeder

    def _found(self, finding: Finding) -> None:
        if finding.now.kind in WRONG:
            self.wrong.append(finding)


class ChildBuilder(Builder):
    """A builder in a process of its own: its parent hears what forbids to show the generation, and what ends it."""

    def __init__(self, components: Components, model: ReadModel[Any], stop: threading.Event, send: Send) -> None:
        super().__init__(components, model, RetryUntilStopped(stop, partial(send, "report")))
        self._send = send
        self._failed = False

    def finish(self, aggregates: Sequence[ScannedAggregate]) -> Mapping[str, int]:
        """See ``Builder``. What fails ends this builder alone."""
        try:
            return {} if self._failed else super().finish(aggregates)
        except KinfoldError as error:
            self._failed = True
            self._send("ended-alone", self.name, *described(error))
            return {}

    def settled(self) -> Mapping[str, int]:
        """See ``ChildReader``."""
        return {}

    def _found(self, finding: Finding) -> None:
        if finding.now.kind in WRONG:
            self._send("found", self.name, finding.brief())


@dataclass(frozen=True, slots=True)
class ChildBuilders:
    """Makes a child's builders of these generations, by projection."""

    generations: Mapping[str, int]

    def __call__(self, components: Components, stop: threading.Event, send: Send) -> Sequence[ChildBuilder]:
        """See ``MakeReaders``."""
        models = components.models
        return [
            ChildBuilder(components, models.model(models.projections[name], generation), stop, send)
            for name, generation in self.generations.items()
        ]
