"""Snapshots of aggregates as the writer uses them: never trusted without the events, written in the background.

What a snapshot leaves out, the ids that were used before it, is in the archive before the snapshot is stored.
"""

import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any, Final

import structlog

from ledger.aggregates.aggregate_type import Aggregate
from ledger.errors import KinfoldError
from ledger.store.errors import SnapshotError
from ledger.store.id_archive import ArchivedId
from ledger.store.parallel_scan import Item
from ledger.store.snapshots import Snapshot, SnapshotStore, crosses
from writer.metrics import Metrics

log = structlog.get_logger(__name__)

#: Snapshots that may wait to be written. One more is dropped: the aggregate's next crossing makes another.
_MAX_WAITING: Final = 64


@dataclass(slots=True)
class ArchivedUntil:
    """Up to which version the used ids of an aggregate are archived; of one load, and what was appended to it."""

    version: int = 0


class SnapshotWriter:
    """Reads snapshots and writes new ones without blocking the caller. Safe to share between threads.

    The thread that writes starts with the first snapshot; ``close`` ends it.
    """

    def __init__(self, store: SnapshotStore, metrics: Metrics, *, interval: int) -> None:
        """``interval``: events between two snapshots of an aggregate; 0: none, and each load reads all of it."""
        self._store = store
        self._metrics = metrics
        self.interval = interval
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="snapshots")
        self._lock = threading.Lock()
        self._waiting: set[Future[None]] = set()

    def find(self, key: str) -> Item | None:
        """Read an aggregate's snapshot; None if there is none. Raises ThrottledError, EndpointError, ResourceError."""
        return self._store.find(key) if self.interval else None

    def archived(self, key: str, used_ids: Sequence[str]) -> list[ArchivedId]:
        """Those of the ids that are archived. Worth something only where the event that each names says so.

        Raises ThrottledError, EndpointError, ResourceError.
        """
        return self._store.archive.find(key, used_ids)

    def missed(self, aggregate: Aggregate[Any, Any]) -> None:
        """Report that ``aggregate`` was loaded without a snapshot although it is old enough to have one."""
        if 0 < self.interval <= aggregate.version:
            self.ignore(aggregate.key, "missing", version=aggregate.version)

    def ignore(self, key: str, reason: str, **fields: object) -> None:
        """Report that a snapshot is not used: missing, schema, unreadable, ahead (of the events) or another_event."""
        self._metrics.snapshots_ignored.labels(reason).inc()
        log.warning("snapshot_ignored", aggregate=key, reason=reason, **fields)

    def offer(
        self,
        before: int,
        aggregate: Aggregate[Any, Any],
        event_hash: str | None,
        *,
        until: ArchivedUntil | None = None,
        worthless: Item | None = None,
    ) -> None:
        """Queue a snapshot of ``aggregate``, which must not be mutated any more, if its append crossed a multiple.

        ``event_hash``: of the event that it ends at. ``until`` is moved on as ids are archived. A ``worthless``
        snapshot, as it was read, is deleted first.
        """
        crossed = event_hash is not None and crosses(before, aggregate.version, self.interval)
        if not crossed and worthless is None:
            return
        with self._lock:
            if len(self._waiting) >= _MAX_WAITING:
                self._count(aggregate, "dropped")
                return
            job = self._pool.submit(
                self._save, aggregate, event_hash if crossed else None, until or ArchivedUntil(), worthless
            )
            self._waiting.add(job)
        job.add_done_callback(self._done)

    def close(self, timeout: float) -> None:
        """Wait for at most ``timeout`` seconds for the queued snapshots; drop the rest."""
        with self._lock:
            waiting = set(self._waiting)
        wait(waiting, timeout)
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _done(self, job: "Future[None]") -> None:
        with self._lock:
            self._waiting.discard(job)

    def _save(
        self, aggregate: Aggregate[Any, Any], event_hash: str | None, until: ArchivedUntil, worthless: Item | None
    ) -> None:
        try:
            if worthless is not None and self._store.discard(aggregate.key, worthless):
                self._count(aggregate, "discarded")
            if event_hash is not None:
                aggregate = self._archived(aggregate, until)
                self._count(aggregate, "written" if self._store.save(Snapshot(aggregate, event_hash)) else "superseded")
        except SnapshotError as error:
            self._count(aggregate, error.reason, reason=str(error))
        except KinfoldError as error:
            self._count(aggregate, "failed", reason=str(error))
        except Exception:
            # Nobody waits for this thread's result: what is not logged here is lost.
            self._metrics.snapshots.labels("failed").inc()
            log.exception("snapshot_failed", aggregate=aggregate.key)

    def _archived(self, aggregate: Aggregate[Any, Any], until: ArchivedUntil) -> Aggregate[Any, Any]:
        """The aggregate without its used ids, which are in the archive then."""
        used = aggregate.used_ids
        if used is None:
            return aggregate
        self._store.archive.store(aggregate.key, used.since(until.version))
        until.version = aggregate.version
        aggregate = aggregate.copy()
        aggregate.leave_ids(aggregate.version)
        return aggregate

    def _count(self, aggregate: Aggregate[Any, Any], outcome: str, **fields: object) -> None:
        self._metrics.snapshots.labels(outcome).inc()
        emit = log.info if outcome in {"written", "superseded", "discarded"} else log.warning
        emit("snapshot", aggregate=aggregate.key, version=aggregate.version, outcome=outcome, **fields)
