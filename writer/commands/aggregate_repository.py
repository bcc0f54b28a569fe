"""The repository: an aggregate is the fold of its events, or of a snapshot and the events after it."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from threading import Lock
from typing import Any, Final

from cachetools import LRUCache

from ledger.aggregates.aggregate_type import Aggregate, AnyType
from ledger.store.errors import SnapshotError
from ledger.store.event_store import EventStore, History, ProvenVersion
from ledger.store.id_archive import ArchivedId
from ledger.store.parallel_scan import Item
from ledger.store.snapshots import Snapshot, decode
from ledger.store.stored_event import EventReference, StoredEvent, timestamp
from ledger.store.transactions import Draft
from writer.commands.snapshot_writer import ArchivedUntil, SnapshotWriter

#: States, of the usual size, that are held where replays have ended.
_PLACES: Final = 64


@dataclass(frozen=True, slots=True)
class Loaded:
    """An aggregate as it was read or stored, with the proof under which events may be appended to it.

    The aggregate is not changed any more: its snapshot may be on the way.
    """

    aggregate: Aggregate[Any, Any]
    proof: ProvenVersion
    archived: ArchivedUntil = field(default_factory=ArchivedUntil)


class AggregateRepository:
    """Aggregates, kept in the event store, and the last ones in memory. Safe to share between threads.

    What is held in memory is to append to, never to answer from: another writer may have been at the aggregate since.
    """

    def __init__(self, store: EventStore, snapshots: SnapshotWriter, *, held: int = 0) -> None:
        """``held``: how many aggregates are held at most; one that weighs more counts as more."""
        self._store = store
        self._snapshots = snapshots
        self._held: LRUCache[str, Loaded] = LRUCache(held, getsizeof=_weight)
        self._left: LRUCache[tuple[str, int], Snapshot] = LRUCache(_PLACES, getsizeof=_weight)
        self._lock = Lock()

    def take(self, key: str) -> Loaded | None:
        """Take an aggregate that is held away, to append to it; None when it has to be read."""
        with self._lock:
            held = self._held.pop(key, None)
        return held if held is not None and self._store.vouches(held.proof) else None

    def keep(self, loaded: Loaded) -> None:
        """Hold an aggregate for the next one who takes it. Its proof says for how long that is worth anything."""
        if self._store.vouches(loaded.proof) and _weight(loaded) <= self._held.maxsize:
            with self._lock:
                self._held[loaded.aggregate.key] = loaded

    def load(self, kind: AnyType, aggregate_id: str, *, until: int | None = None) -> Loaded:
        """Read an aggregate at its latest version, or at version ``until`` if it ever was there; version 0: no events.

        The latest version of a history that is at most one event longer than the interval between snapshots takes one
        request, a longer one two, and one more where its snapshot is older than the interval. Each further megabyte
        takes one more.

        Raises CorruptHistoryError, ThrottledError, EndpointError, ResourceError.
        """
        key, interval = kind.key(aggregate_id), self._snapshots.interval
        # One more than the interval: the event that proves a snapshot, while the next one is on the way.
        newest = self._store.tail(key, limit=interval + 1) if interval and until is None else None
        if newest is not None and newest.whole:
            return _folded(Aggregate.new(kind, aggregate_id), newest)
        stored = self._snapshots.find(key)
        if stored is None:
            loaded = self._replay(kind, aggregate_id, until)
            self._snapshots.missed(loaded.aggregate)
            return loaded
        try:
            snapshot = decode(kind, aggregate_id, stored)
        except SnapshotError as error:
            self._snapshots.ignore(key, error.reason, detail=str(error))
            return self._replay(kind, aggregate_id, until, stored if error.reason == "unreadable" else None)
        found = snapshot.aggregate
        if until is not None and found.version > until:
            return self._replay(kind, aggregate_id, until)
        history = newest.after(found.version) if newest is not None else None
        if history is None:
            history = self._store.load(key, after=found.version, until=until)
        if history.version.number < found.version:
            self._snapshots.ignore(key, "ahead", version=found.version, stored=history.version.number)
        elif snapshot.event_hash not in (None, history.follows):
            self._snapshots.ignore(key, "another_event", version=found.version)
        else:
            return _folded(found, history)
        return self._replay(kind, aggregate_id, until, stored)

    def refresh(self, loaded: Loaded) -> Loaded:
        """Read what was stored since ``loaded`` was: a history is not read again from its beginning.

        Unless the event that it ended at is no more, as after a restore of the table.

        Raises CorruptHistoryError, ThrottledError, EndpointError, ResourceError.
        """
        aggregate = loaded.aggregate
        history = self._store.load(aggregate.key, after=aggregate.version)
        if history.version.number < aggregate.version or history.follows != loaded.proof.event_hash:
            return self.load(aggregate.type, aggregate.id)
        return replace(_folded(aggregate.copy(), history), archived=loaded.archived)

    def recall(self, loaded: Loaded, used_ids: Iterable[str]) -> Loaded:
        """The aggregate, knowing which of these ids were ever used: one request where it cannot say so by itself.

        Raises CorruptHistoryError, ThrottledError, EndpointError, ResourceError.
        """
        aggregate, used = loaded.aggregate, loaded.aggregate.used_ids
        asked = [used_id for used_id in used_ids if used is not None and used.may_be_archived(used_id)]
        found = self._snapshots.archived(aggregate.key, asked) if asked else []
        known = [each.used_id for each in found if self._is_used(aggregate.type, each)]
        if not known:
            return loaded
        aggregate = aggregate.copy()
        aggregate.recall_ids(known)
        return replace(loaded, aggregate=aggregate)

    def at(self, kind: AnyType, aggregate_id: str, moment: datetime) -> Aggregate[Any, Any]:
        """Fold the events up to the first one that occurred after ``moment``; version 0 when there are none.

        Time is the writers' clocks: where they disagree, the order of the sequence numbers counts. Snapshots are not
        used, since they do not say when each of their events occurred.

        Raises CorruptHistoryError, ThrottledError, EndpointError.
        """
        aggregate, latest = Aggregate.new(kind, aggregate_id), timestamp(moment)
        for event in self._store.read(aggregate.key):
            if event.occurred_at > latest:
                break
            aggregate.apply(event.decode(kind))
        return aggregate

    def replay(
        self, kind: AnyType, aggregate_id: str, *, first: int, until: int
    ) -> tuple[Aggregate[Any, Any], Iterator[StoredEvent]]:
        """The aggregate before event ``first``, to be folded on, and the events from there to ``until``.

        They are read as they are asked for: memory holds a page of at most 1 MB, however long the history. What is read
        before ``first`` begins where a replay was left (``leave``), else at a snapshot, else at the first event. The
        version is lower than ``first - 1`` where the history ends before that.

        Raises CorruptHistoryError, ThrottledError, EndpointError, ResourceError, while events are read as well.
        """
        key = kind.key(aggregate_id)
        if begun := self._begun(kind, aggregate_id, first):
            # The event that the fold ends at comes along, and proves it.
            events = self._store.read(key, after=begun.aggregate.version - 1, until=until)
            at = next(events, None)
            if at is not None and begun.event_hash in (None, at.event_hash):
                return _brought_on(begun.aggregate, events, first - 1), events
        events = self._store.read(key, until=until)
        return _brought_on(Aggregate.new(kind, aggregate_id), events, first - 1), events

    def leave(self, aggregate: Aggregate[Any, Any], event_hash: str) -> None:
        """Hold where a replay has ended, so that the next one need not begin before; ``event_hash``: of its last event.

        The aggregate must not be changed any more.
        """
        place = Snapshot(aggregate, event_hash)
        if _weight(place) <= self._left.maxsize:
            with self._lock:
                self._left[aggregate.key, aggregate.version] = place

    def save(
        self, before: Loaded, aggregate: Aggregate[Any, Any], draft: Draft, retry_seconds: float
    ) -> tuple[Loaded, History]:
        """Store what is drafted after ``before``, all or nothing; ``aggregate`` is the one that it leads to.

        An append that crosses a multiple of the interval leaves a snapshot behind.

        Raises VersionConflictError and CommandRecordedError (nothing was written), and ThrottledError or
        EndpointError, after which the events may be stored or not.
        """
        aggregate.leave_ids(before.archived.version)
        history = self._store.commit(draft, before.proof, retry_seconds=retry_seconds)
        self._snapshots.offer(before.aggregate.version, aggregate, history.version.event_hash, until=before.archived)
        return Loaded(aggregate, history.version, before.archived), history

    def events(self, key: str, *, first: int, limit: int) -> list[StoredEvent]:
        """Read at most ``limit`` stored events from sequence number ``first`` on.

        Raises CorruptHistoryError, ThrottledError, EndpointError.
        """
        return self._store.load(key, after=first - 1, until=first + limit - 1).events

    def newest_events(self, key: str, *, last: int | None, limit: int) -> list[StoredEvent]:
        """Read at most ``limit`` stored events, the newest first, from sequence number ``last`` down.

        Raises CorruptHistoryError, ThrottledError, EndpointError.
        """
        return self._store.newest(key, until=last, limit=limit)

    def holds(self, event: EventReference) -> bool:
        """Whether the event is stored. Raises CorruptHistoryError, ThrottledError, EndpointError."""
        return self._store.holds(event)

    def version(self, key: str) -> int:
        """Read the version without the events; 0 when there are none. Raises ThrottledError, EndpointError."""
        return self._store.version(key).number

    def probe(self) -> None:
        """Ask whether a command could be carried out.

        Raises ResourceError, ThrottledError, EndpointError, and TableReplacedError.
        """
        self._store.probe()

    def close(self, timeout: float) -> None:
        """Wait for at most ``timeout`` seconds until the snapshots under way are written."""
        self._snapshots.close(timeout)

    def _begun(self, kind: AnyType, aggregate_id: str, first: int) -> Snapshot | None:
        """A fold of some events before ``first``, which the last of them has to prove; None where there is none."""
        if first == 1:
            return None
        key = kind.key(aggregate_id)
        with self._lock:
            left = self._left.get((key, first - 1))
        if left is not None:
            return Snapshot(left.aggregate.copy(), left.event_hash)
        stored = self._snapshots.find(key)
        try:
            found = decode(kind, aggregate_id, stored) if stored is not None else None
        except SnapshotError as error:
            self._snapshots.ignore(key, error.reason, detail=str(error))
            return None
        return found if found is not None and found.aggregate.version < first else None

    def _is_used(self, kind: AnyType, archived: ArchivedId) -> bool:
        events = self._store.load(archived.aggregate_id, after=archived.used_at - 1, until=archived.used_at).events
        return any(archived.is_used_by(event, kind) for event in events)

    def _replay(self, kind: AnyType, aggregate_id: str, until: int | None, worthless: Item | None = None) -> Loaded:
        aggregate = Aggregate.new(kind, aggregate_id)
        loaded = _folded(aggregate, self._store.load(aggregate.key, until=until))
        if worthless is not None and until is None:
            self._snapshots.offer(
                0, loaded.aggregate, loaded.proof.event_hash, until=loaded.archived, worthless=worthless
            )
        return loaded


def _weight(loaded: Loaded | Snapshot) -> int:
    return loaded.aggregate.type.weight(loaded.aggregate.state)


def _brought_on(aggregate: Aggregate[Any, Any], events: Iterator[StoredEvent], version: int) -> Aggregate[Any, Any]:
    """The aggregate at ``version``, or at the end of its history if that is before."""
    while aggregate.version < version and (event := next(events, None)) is not None:
        aggregate.apply(event.decode(aggregate.type))
    return aggregate


def _folded(aggregate: Aggregate[Any, Any], history: History) -> Loaded:
    for event in history.events:
        aggregate.apply(event.decode(aggregate.type))
    return Loaded(aggregate, history.version)
