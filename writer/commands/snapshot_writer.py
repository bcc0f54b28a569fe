"""Snapshots of accounts as the writer uses them: never trusted without the events, written in the background.

What a snapshot leaves out, the bets settled before it, is in the archive before the snapshot is stored.
"""

import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Final

import structlog

from ledger.domain.account import Account
from ledger.errors import KinfoldError
from ledger.store.bet_archive import ArchivedBet
from ledger.store.errors import SnapshotError
from ledger.store.parallel_scan import Item
from ledger.store.snapshots import Snapshot, SnapshotStore, crosses
from writer.metrics import Metrics

log = structlog.get_logger(__name__)

#: Snapshots that may wait to be written. One more is dropped: the account's next crossing makes another.
_MAX_WAITING: Final = 64


@dataclass(slots=True)
class ArchivedUntil:
    """Up to which version the settled bets of an account are archived; of one load, and what was appended to it."""

    version: int = 0


class SnapshotWriter:
    """Reads snapshots and writes new ones without blocking the caller. Safe to share between threads.

    The thread that writes starts with the first snapshot; ``close`` ends it.
    """

    def __init__(self, store: SnapshotStore, metrics: Metrics, *, interval: int) -> None:
        """``interval``: events between two snapshots of an account; 0: none, and each load reads the whole history."""
        self._store = store
        self._metrics = metrics
        self._interval = interval
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="snapshots")
        self._lock = threading.Lock()
        self._waiting: set[Future[None]] = set()

    def find(self, account_id: str) -> Item | None:
        """Read an account's snapshot; None if there is none. Raises ThrottledError, EndpointError, ResourceError."""
        return self._store.find(account_id) if self._interval else None

    def archived(self, account_id: str, bet_ids: Sequence[str]) -> list[ArchivedBet]:
        """Those of the bets that are archived. Worth something only where the event that each names says so.

        Raises ThrottledError, EndpointError, ResourceError.
        """
        return self._store.archive.find(account_id, bet_ids)

    def missed(self, account: Account) -> None:
        """Report that ``account`` was loaded without a snapshot although it is old enough to have one."""
        if 0 < self._interval <= account.version:
            self.ignore(account.account_id, "missing", version=account.version)

    def ignore(self, account_id: str, reason: str, **fields: object) -> None:
        """Report that a snapshot is not used: missing, schema, unreadable, ahead (of the events) or another_event."""
        self._metrics.snapshots_ignored.labels(reason).inc()
        log.warning("snapshot_ignored", account=account_id, reason=reason, **fields)

    def offer(
        self,
        before: int,
        account: Account,
        event_hash: str | None,
        *,
        until: ArchivedUntil | None = None,
        worthless: Item | None = None,
    ) -> None:
        """Queue a snapshot of ``account``, which must not be mutated any more, if its append crossed a multiple.

        ``event_hash``: of the event that it ends at. ``until`` is moved on as bets are archived. A ``worthless``
        snapshot, as it was read, is deleted first.
        """
        crossed = event_hash is not None and crosses(before, account.version, self._interval)
        if not crossed and worthless is None:
            return
        with self._lock:
            if len(self._waiting) >= _MAX_WAITING:
                self._count(account, "dropped")
                return
            job = self._pool.submit(
                self._save, account, event_hash if crossed else None, until or ArchivedUntil(), worthless
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

    def _save(self, account: Account, event_hash: str | None, until: ArchivedUntil, worthless: Item | None) -> None:
        try:
            if worthless is not None and self._store.discard(account.account_id, worthless):
                self._count(account, "discarded")
            if event_hash is not None:
                self._store.archive.store(account.account_id, account.settled_since(until.version))
                until.version = account.version
                account = account.copy()
                account.archive(account.version)
                self._count(account, "written" if self._store.save(Snapshot(account, event_hash)) else "superseded")
        except SnapshotError as error:
            self._count(account, error.reason, reason=str(error))
        except KinfoldError as error:
            self._count(account, "failed", reason=str(error))
        except Exception:
            # Nobody waits for this thread's result: what is not logged here is lost.
            self._metrics.snapshots.labels("failed").inc()
            log.exception("snapshot_failed", account=account.account_id)

    def _count(self, account: Account, outcome: str, **fields: object) -> None:
        self._metrics.snapshots.labels(outcome).inc()
        emit = log.info if outcome in {"written", "superseded", "discarded"} else log.warning
        emit("snapshot", account=account.account_id, version=account.version, outcome=outcome, **fields)
