"""The repository of accounts: an account is the fold of its events, or of a snapshot and the events after it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from ledger.domain.account import AGGREGATE_TYPE, Account
from ledger.domain.events import DomainEvent
from ledger.store.errors import SnapshotError
from ledger.store.event_store import EventStore, History, ProvenVersion
from ledger.store.parallel_scan import Item
from ledger.store.snapshots import decode
from ledger.store.stored_event import EventReference, StoredEvent, timestamp
from ledger.store.transactions import CommandPut
from writer.commands.snapshot_writer import SnapshotWriter

#: Makes the record of a command from the account after it and the events that it stores.
Recording = Callable[[Account, Sequence[StoredEvent]], CommandPut]


@dataclass(frozen=True, slots=True)
class LoadedAccount:
    """An account as it was read, with the proof under which events may be appended to it."""

    account: Account
    proof: ProvenVersion


@dataclass(frozen=True, slots=True)
class SavedAccount:
    """An account after an append, and what was appended."""

    account: Account
    history: History


class AccountRepository:
    """Accounts, kept in the event store. Safe to share between threads."""

    def __init__(self, store: EventStore, snapshots: SnapshotWriter) -> None:
        self._store = store
        self._snapshots = snapshots

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
        """Fold what was stored since ``loaded`` was read into it: a history is not read again from its beginning.

        Raises CorruptHistoryError, ThrottledError, EndpointError.
        """
        return _folded(loaded.account, self._store.load(loaded.account.account_id, after=loaded.account.version))

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
        self,
        loaded: LoadedAccount,
        events: Sequence[DomainEvent],
        *,
        correlation_id: str,
        recording: Recording | None = None,
    ) -> SavedAccount:
        """Append ``events`` after the loaded version, and what ``recording`` makes of them, all or nothing.

        ``loaded`` stays as it is. An append that crosses a multiple of the interval leaves a snapshot behind.

        Raises VersionConflictError and CommandRecordedError (nothing was written), and ThrottledError or
        EndpointError, after which the events may be stored or not.
        """
        account = loaded.account.copy()
        for event in events:
            account.apply(event)
        history = self._store.append(
            account.account_id,
            events,
            loaded.proof,
            aggregate_type=AGGREGATE_TYPE,
            correlation_id=correlation_id,
            command=None if recording is None else lambda stored: recording(account, stored),
        )
        self._snapshots.offer(loaded.account.version, account, history.version.event_hash)
        return SavedAccount(account, history)

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

    def _replay(self, account_id: str, until: int | None, worthless: Item | None = None) -> LoadedAccount:
        loaded = _folded(Account(account_id), self._store.load(account_id, until=until))
        if worthless is not None and until is None:
            self._snapshots.offer(0, loaded.account, loaded.proof.event_hash, worthless=worthless)
        return loaded


def _folded(account: Account, history: History) -> LoadedAccount:
    for event in history.events:
        account.apply(event.decode())
    return LoadedAccount(account, history.version)
