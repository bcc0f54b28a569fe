"""The repository of accounts: an account is the fold of its events, or of a snapshot and the events after it."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from threading import Lock
from typing import Final

from cachetools import LRUCache

from ledger.domain.account import Account
from ledger.store.bet_archive import ArchivedBet
from ledger.store.errors import SnapshotError
from ledger.store.event_store import EventStore, History, ProvenVersion
from ledger.store.parallel_scan import Item
from ledger.store.snapshots import decode
from ledger.store.stored_event import EventReference, StoredEvent, timestamp
from ledger.store.transactions import Draft
from writer.commands.snapshot_writer import ArchivedUntil, SnapshotWriter

#: Bets of an account that is held that count as another account: it takes some 10 KB more.
_BETS_AS_ONE: Final = 100


@dataclass(frozen=True, slots=True)
class LoadedAccount:
    """An account as it was read or stored, with the proof under which events may be appended to it.

    The account is not mutated any more: its snapshot may be on the way.
    """

    account: Account
    proof: ProvenVersion
    archived: ArchivedUntil = field(default_factory=ArchivedUntil)


class AccountRepository:
    """Accounts, kept in the event store, and the last ones in memory. Safe to share between threads.

    What is held in memory is to append to, never to answer from: another writer may have been at the account since.
    """

    def __init__(self, store: EventStore, snapshots: SnapshotWriter, *, held: int = 0) -> None:
        """``held``: how many accounts are held at most; one with many bets counts as more."""
        self._store = store
        self._snapshots = snapshots
        self._held: LRUCache[str, LoadedAccount] = LRUCache(held, getsizeof=_size)
        self._lock = Lock()

    def take(self, account_id: str) -> LoadedAccount | None:
        """Take an account that is held away, to append to it; None when it has to be read."""
        with self._lock:
            held = self._held.pop(account_id, None)
        return held if held is not None and self._store.vouches(held.proof) else None

    def keep(self, loaded: LoadedAccount) -> None:
        """Hold an account for the next one who takes it. Its proof says for how long that is worth anything."""
        if self._store.vouches(loaded.proof) and _size(loaded) <= self._held.maxsize:
            with self._lock:
                self._held[loaded.account.account_id] = loaded

    def load(self, account_id: str, *, until: int | None = None) -> LoadedAccount:
        """Read an account at its latest version, or at version ``until`` if it ever was there; version 0: no events.

        With a snapshot that is two requests and one more a megabyte of events after it.

        Raises CorruptHistoryError, ThrottledError, EndpointError, ResourceError.
        """
        stored = self._snapshots.find(account_id)
        if stored is None:
            loaded = self._replay(account_id, until)
            self._snapshots.missed(loaded.account)
            return loaded
        try:
            snapshot = decode(account_id, stored)
        except SnapshotError as error:
            self._snapshots.ignore(account_id, error.reason, detail=str(error))
            return self._replay(account_id, until, stored if error.reason == "unreadable" else None)
        found = snapshot.account
        if until is not None and found.version > until:
            return self._replay(account_id, until)
        history = self._store.load(account_id, after=found.version, until=until)
        if history.version.number < found.version:
            self._snapshots.ignore(account_id, "ahead", version=found.version, stored=history.version.number)
        elif snapshot.event_hash not in (None, history.follows):
            self._snapshots.ignore(account_id, "another_event", version=found.version)
        else:
            return _folded(found, history)
        return self._replay(account_id, until, stored)

    def refresh(self, loaded: LoadedAccount) -> LoadedAccount:
        """Read what was stored since ``loaded`` was: a history is not read again from its beginning.

        Unless the event that it ended at is no more, as after a restore of the table.

        Raises CorruptHistoryError, ThrottledError, EndpointError, ResourceError.
        """
        account = loaded.account
        history = self._store.load(account.account_id, after=account.version)
        if history.version.number < account.version or history.follows != loaded.proof.event_hash:
            return self.load(account.account_id)
        return replace(_folded(account.copy(), history), archived=loaded.archived)

    def recall(self, loaded: LoadedAccount, bet_ids: Iterable[str]) -> LoadedAccount:
        """The account, knowing which of these bets were ever settled: one request where it cannot say so by itself.

        Raises CorruptHistoryError, ThrottledError, EndpointError, ResourceError.
        """
        asked = [bet_id for bet_id in bet_ids if loaded.account.needs_archive(bet_id)]
        found = self._snapshots.archived(loaded.account.account_id, asked) if asked else []
        settled = [each.bet_id for each in found if self._is_settled(each)]
        if not settled:
            return loaded
        account = loaded.account.copy()
        account.recall(settled)
        return replace(loaded, account=account)

    def at(self, account_id: str, moment: datetime) -> Account:
        """Fold the events up to the first one that occurred after ``moment``; version 0 when there are none.

        Time is the writers' clocks: where they disagree, the order of the sequence numbers counts. Snapshots are not
        used, since they do not say when each of their events occurred.

        Raises CorruptHistoryError, ThrottledError, EndpointError.
        """
        account, latest = Account(account_id), timestamp(moment)
        for event in self._store.read(account_id):
            if event.occurred_at > latest:
                break
            account.apply(event.decode())
        return account

    def save(
        self, before: LoadedAccount, account: Account, draft: Draft, retry_seconds: float
    ) -> tuple[LoadedAccount, History]:
        """Store what is drafted after ``before``, all or nothing; ``account`` is the one that it leads to.

        An append that crosses a multiple of the interval leaves a snapshot behind.

        Raises VersionConflictError and CommandRecordedError (nothing was written), and ThrottledError or
        EndpointError, after which the events may be stored or not.
        """
        account.archive(before.archived.version)
        history = self._store.commit(draft, before.proof, retry_seconds=retry_seconds)
        self._snapshots.offer(before.account.version, account, history.version.event_hash, until=before.archived)
        return LoadedAccount(account, history.version, before.archived), history

    def events(self, account_id: str, *, first: int, limit: int) -> list[StoredEvent]:
        """Read at most ``limit`` stored events from sequence number ``first`` on.

        Raises CorruptHistoryError, ThrottledError, EndpointError.
        """
        return self._store.load(account_id, after=first - 1, until=first + limit - 1).events

    def newest_events(self, account_id: str, *, last: int | None, limit: int) -> list[StoredEvent]:
        """Read at most ``limit`` stored events, the newest first, from sequence number ``last`` down.

        Raises CorruptHistoryError, ThrottledError, EndpointError.
        """
        return self._store.newest(account_id, until=last, limit=limit)

    def holds(self, event: EventReference) -> bool:
        """Whether the event is stored. Raises CorruptHistoryError, ThrottledError, EndpointError."""
        return self._store.holds(event)

    def version(self, account_id: str) -> int:
        """Read the version without the events; 0 when there are none. Raises ThrottledError, EndpointError."""
        return self._store.version(account_id).number

    def probe(self) -> None:
        """Ask whether a command could be carried out.

        Raises ResourceError, ThrottledError, EndpointError, and TableReplacedError.
        """
        self._store.probe()

    def close(self, timeout: float) -> None:
        """Wait for at most ``timeout`` seconds until the snapshots under way are written."""
        self._snapshots.close(timeout)

    def _is_settled(self, bet: ArchivedBet) -> bool:
        number = bet.settled_at
        return any(map(bet.is_settled_by, self._store.load(bet.account_id, after=number - 1, until=number).events))

    def _replay(self, account_id: str, until: int | None, worthless: Item | None = None) -> LoadedAccount:
        loaded = _folded(Account(account_id), self._store.load(account_id, until=until))
        if worthless is not None and until is None:
            self._snapshots.offer(
                0, loaded.account, loaded.proof.event_hash, until=loaded.archived, worthless=worthless
            )
        return loaded


def _size(loaded: LoadedAccount) -> int:
    account = loaded.account
    return 1 + (len(account.open_bets) + len(account.settled_bets)) // _BETS_AS_ONE


def _folded(account: Account, history: History) -> LoadedAccount:
    for event in history.events:
        account.apply(event.decode())
    return LoadedAccount(account, history.version)
