"""The engine: whatever order, repetition or loss the stream delivers, a row moves from prefix to prefix.

The stream carries, the event store decides: an event that is ahead of its aggregate's head makes the engine read the
missing ones from the store, so a late or lost record costs a read and never a wrong balance.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from cachetools import LRUCache

from ledger.store.stored_event import StoredEvent
from projector.engine.fold import Folded, Poison, Skipped, first_head, fold_on
from projector.engine.gap_repair import NextEvents, StoredEvents
from projector.engine.read_model import ReadModel, RowChange, RowKey, UnreadableRowError
from projector.metrics import Metrics, TableMetrics
from projector.projection import HEAD, Row, UnprojectableEventError

S = TypeVar("S")


@dataclass(frozen=True, slots=True)
class _Advance(Generic[S]):
    """How far one round takes an aggregate; ``before`` is None when it has no head row yet."""

    before: Row[S] | None
    parts_before: Mapping[str, Row[S]]
    folded: Folded[S]
    duplicates: int
    gaps: int
    finished: bool

    @property
    def moved(self) -> int:
        """By how many events this round moves the head."""
        return self.folded.head.version - (self.before.version if self.before else 0)

    def head_change(self) -> RowChange[S]:
        """The write of the head."""
        return RowChange(self.folded.head, self.before.version if self.before else None)

    def part_changes(self) -> list[RowChange[S]]:
        """The writes of the parts."""
        known = self.parts_before
        return [
            RowChange(row, known[part].version if part in known else None) for part, row in self.folded.parts.items()
        ]

    def durable(self) -> Iterator[Row[S]]:
        """The rows that exist once everything is written."""
        yield from self.folded.parts.values()
        if self.moved or self.before:
            yield self.folded.head


class Projector(Generic[S]):
    """Folds batches of events into one read model. Not thread-safe: one batch at a time.

    Any number of projectors may work on the same tables: each write holds only if the row is still at the version that
    was read. In a steady state every row is in the cache and nothing is read.
    """

    def __init__(
        self,
        store: StoredEvents,
        model: ReadModel[S],
        metrics: Metrics,
        *,
        skipped: Skipped,
        cache_size: int = 100_000,
    ) -> None:
        """``cache_size``: rows kept in memory, about 1 KB each."""
        self.model = model
        self._projection = model.projection
        self._store = store
        self._metrics = TableMetrics(metrics, model.table)
        self._skipped = skipped
        self._cache: LRUCache[RowKey, Row[S]] = LRUCache(cache_size)

    def apply(self, events: Sequence[StoredEvent]) -> list[Poison]:
        """Make the effect of every event durable: applied, known to be applied already, or waiting in the event store.

        At-least-once delivery in any order in, exactly-once effect out. Returns the events that can never be applied,
        one an aggregate at most; everything before them is durable. Events of a halted aggregate wait where they are,
        and so do those of an aggregate with a row that cannot be read, which is among what is returned.

        Raises ThrottledError, EndpointError or ResourceError when the endpoint fails; call again with the same events.
        """
        pending = _by_aggregate(events)
        repeated = len(events) - sum(map(len, pending.values()))
        poisons: list[Poison] = []
        newcomers = {
            aggregate_id
            for aggregate_id, delivered in pending.items()
            if delivered[0].sequence_number == 1 and (aggregate_id, HEAD) not in self._cache
        }
        while pending:
            heads, unreadable = self._rows([(aggregate_id, HEAD) for aggregate_id in pending], newcomers)
            readable = {name: delivered for name, delivered in pending.items() if name not in unreadable}
            pending = self._without_halted(readable, heads)
            advances, unreadable_parts = self._advance(pending, heads, newcomers)
            for error in (unreadable | unreadable_parts).values():
                self.forget(error.aggregate_id)
                poisons.append(Poison(error.aggregate_id, None, str(error), None))
            pending = {name: pending[name] for name in advances}
            lost = self._write(advances)
            self._metrics.lost_conditions.inc(len(lost))
            # Only a write shows that a newcomer is one.
            again = lost | {name for name in newcomers & advances.keys() if not advances[name].moved}
            newcomers = set()
            for aggregate_id in pending.keys() - again:
                self._count(advances[aggregate_id])
                poison = advances[aggregate_id].folded.poison
                if poison is not None:
                    poisons.append(poison)
            pending = {
                aggregate_id: delivered
                for aggregate_id, delivered in pending.items()
                if aggregate_id in again or not advances[aggregate_id].finished
            }
        self._metrics.duplicates.inc(repeated)
        return poisons

    def applied_version(self, aggregate_id: str) -> int | None:
        """The version of the aggregate's row; None while it is halted, or not known without a read."""
        head = self._cache.get((aggregate_id, HEAD))
        return head.version if head is not None else None

    def forget(self, aggregate_id: str) -> None:
        """Drop the cached head of an aggregate that somebody else has changed."""
        self._cache.pop((aggregate_id, HEAD), None)

    def _without_halted(
        self, pending: dict[str, list[StoredEvent]], heads: dict[RowKey, Row[S]]
    ) -> dict[str, list[StoredEvent]]:
        going = {}
        for aggregate_id, delivered in pending.items():
            head = heads.get((aggregate_id, HEAD))
            if head is not None and head.halted is not None:
                # Never cached while halted: a redrive may lift the halt at any moment.
                self.forget(aggregate_id)
                self._metrics.waiting.inc(sum(event.sequence_number > head.version for event in delivered))
            else:
                going[aggregate_id] = delivered
        return going

    def _rows(
        self, keys: Collection[RowKey], newcomers: Collection[str]
    ) -> tuple[dict[RowKey, Row[S]], dict[str, UnreadableRowError]]:
        """The rows that exist, from the cache or the table; by aggregate, those that cannot be read.

        Those of ``newcomers``, aggregates whose first event was delivered and whose head is not cached, are assumed to
        be absent: the conditional write fails if one is not, and the next round reads it.
        """
        known = {key: self._cache[key] for key in keys if key in self._cache}
        unknown = [key for key in keys if key not in known and key[0] not in newcomers]
        found, unreadable = self.model.read(unknown) if unknown else ({}, {})
        return known | found, unreadable

    def _advance(
        self, pending: dict[str, list[StoredEvent]], heads: dict[RowKey, Row[S]], newcomers: Collection[str]
    ) -> tuple[dict[str, _Advance[S]], dict[str, UnreadableRowError]]:
        rounds = {
            aggregate_id: NextEvents(self._store, aggregate_id, heads.get((aggregate_id, HEAD)), delivered)
            for aggregate_id, delivered in pending.items()
        }
        parts, unreadable = self._parts_of(rounds, newcomers)
        advances = {}
        for aggregate_id, each in rounds.items():
            if aggregate_id in unreadable:
                continue
            before = heads.get((aggregate_id, HEAD))
            head = before or first_head(aggregate_id)
            folded = fold_on(self._projection, head, parts[aggregate_id], each, self._skipped)
            advances[aggregate_id] = _Advance(
                before, parts[aggregate_id], folded, each.duplicates, each.gaps, each.finished
            )
        return advances, unreadable

    def _parts_of(
        self, rounds: Mapping[str, NextEvents], newcomers: Collection[str]
    ) -> tuple[defaultdict[str, dict[str, Row[S]]], dict[str, UnreadableRowError]]:
        """The parts that exist of those which the rounds' events belong to, by aggregate; and what cannot be read."""
        parts: defaultdict[str, dict[str, Row[S]]] = defaultdict(dict)
        unreadable: dict[str, UnreadableRowError] = {}
        if self._projection.part is not None:
            keys = {(name, part) for name, each in rounds.items() for part in self._part_names(each.events)}
            rows, unreadable = self._rows(keys, newcomers)
            for (aggregate_id, part), row in rows.items():
                parts[aggregate_id][part] = row
        return parts, unreadable

    def _part_names(self, events: Iterable[StoredEvent]) -> Iterator[str]:
        """The parts of the events, up to an event that has none: the fold stops there too, with the reason."""
        try:
            for event in events:
                if not self._skipped(event.aggregate_id, event.sequence_number):
                    yield self._projection.part_of(event)
        except UnprojectableEventError:
            return

    def _write(self, advances: dict[str, _Advance[S]]) -> set[str]:
        """Write what moved, parts before heads; the cache keeps only durable rows. Returns the aggregates that lost."""
        parts = [change for advance in advances.values() for change in advance.part_changes()]
        try:
            lost = {aggregate_id for aggregate_id, _ in self._put(parts)}
            heads = [each.head_change() for name, each in advances.items() if each.moved and name not in lost]
            lost |= {aggregate_id for aggregate_id, _ in self._put(heads)}
        except BaseException:
            for advance in advances.values():
                self._drop(advance)
            raise
        for aggregate_id, advance in advances.items():
            if aggregate_id in lost:
                self._drop(advance)
            else:
                self._cache.update({(aggregate_id, row.part): row for row in advance.durable()})
        return lost

    def _drop(self, advance: _Advance[S]) -> None:
        for row in (advance.folded.head, *advance.folded.parts.values()):
            self._cache.pop((row.aggregate_id, row.part), None)

    def _put(self, changes: Sequence[RowChange[S]]) -> set[RowKey]:
        return self.model.write(changes) if changes else set()

    def _count(self, advance: _Advance[S]) -> None:
        self._metrics.applied.inc(advance.moved)
        self._metrics.duplicates.inc(advance.duplicates)
        self._metrics.gaps_repaired.inc(advance.gaps)


def _by_aggregate(events: Iterable[StoredEvent]) -> dict[str, list[StoredEvent]]:
    """Group by aggregate, in order of sequence number. A repeated event counts once: the last one delivered."""
    grouped: defaultdict[str, dict[int, StoredEvent]] = defaultdict(dict)
    for event in events:
        grouped[event.aggregate_id][event.sequence_number] = event
    return {aggregate_id: [of[number] for number in sorted(of)] for aggregate_id, of in grouped.items()}
