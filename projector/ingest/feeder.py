"""Feeds events from the event store, rather than from the stream, into read models."""

from collections.abc import Callable, Sequence
from typing import Any

from ledger.store.event_store import EventStore
from ledger.store.stored_event import StoredEvent
from projector.dead_letters.account_halts import AccountHalts
from projector.engine.projector import Projector


class Feeder:
    """Feeds projectors; what cannot be applied becomes a dead letter and halts its account, as in the worker.

    One call at a time. Raises ThrottledError, EndpointError or ResourceError when the endpoint fails, and StormError.
    """

    def __init__(
        self, targets: Callable[[], Sequence[Projector[Any]]], account_halts: AccountHalts, store: EventStore
    ) -> None:
        """``targets``: what to feed at that moment, an account's newest generation first."""
        self._targets = targets
        self._account_halts = account_halts
        self._store = store

    def stored(self, account_id: str) -> int:
        """The account's version in the event store."""
        return self._store.version(account_id).number

    def feed(self, events: Sequence[StoredEvent]) -> None:
        """Make the effect of every event durable: applied, known already, or waiting for its halted account."""
        for target in self._targets():
            self._account_halts.apply(target, events)

    def catch_up(self, account_id: str, until: int) -> None:
        """Fold the account up to version ``until``: feeds that event alone, and the engine reads what is missing."""
        # Read before the targets are asked for: a rebuild that begins after that finds the event in the store.
        events = list(self._store.read(account_id, after=until - 1, until=until))
        for target in self._targets():
            target.forget(account_id)
            self._account_halts.apply(target, events)
