"""The repository of accounts: an account is the fold of its events."""

from collections.abc import Sequence
from dataclasses import dataclass

from ledger.account import AGGREGATE_TYPE, Account
from ledger.event_store import EventStore, History, ProvenVersion
from ledger.events import DomainEvent

#: No account can have this id (ledger.identifiers), so a read of it finds nothing and costs next to nothing.
_NOBODY = "-"


@dataclass(frozen=True, slots=True)
class LoadedAccount:
    """An account as it was read, with the proof under which events may be appended to it."""

    account: Account
    proof: ProvenVersion


class Accounts:
    """Accounts, kept in the event store. Safe to share between threads."""

    def __init__(self, store: EventStore) -> None:
        self._store = store

    def load(self, account_id: str) -> LoadedAccount:
        """Read and fold the whole history; version 0 when there is none.

        Raises CorruptHistoryError, ThrottledError, EndpointError.
        """
        history = self._store.load(account_id)
        account = Account.reconstitute(account_id, (event.decode() for event in history.events))
        return LoadedAccount(account, history.version)

    def refresh(self, loaded: LoadedAccount) -> LoadedAccount:
        """Fold what was stored since ``loaded`` was read into it: a history is not read again from its beginning.

        Raises CorruptHistoryError, ThrottledError, EndpointError.
        """
        history = self._store.load(loaded.account.account_id, after=loaded.account.version)
        for event in history.events:
            loaded.account.apply(event.decode())
        return LoadedAccount(loaded.account, history.version)

    def save(self, loaded: LoadedAccount, events: Sequence[DomainEvent], *, correlation_id: str) -> History:
        """Append ``events`` after the loaded version and fold them into the loaded account.

        Raises VersionConflictError (nothing was written), and ThrottledError or EndpointError, after which the events
        may be stored or not.
        """
        history = self._store.append(
            loaded.account.account_id,
            events,
            loaded.proof,
            aggregate_type=AGGREGATE_TYPE,
            correlation_id=correlation_id,
        )
        for event in events:
            loaded.account.apply(event)
        return history

    def events(self, account_id: str, *, first: int, limit: int) -> History:
        """Read at most ``limit`` stored events from sequence number ``first`` on.

        Raises CorruptHistoryError, ThrottledError, EndpointError.
        """
        return self._store.load(account_id, after=first - 1, until=first + limit - 1)

    def version(self, account_id: str) -> int:
        """Read the version without the events; 0 when there are none. Raises ThrottledError, EndpointError."""
        return self._store.version(account_id).number

    def probe(self) -> None:
        """Read from the events table as a command does. Raises ResourceError, ThrottledError, EndpointError."""
        self._store.version(_NOBODY)
