"""Feeds events from the event store, rather than from the stream, into read models."""

from collections.abc import Callable, Sequence
from typing import Any

from ledger.store.event_store import EventStore
from ledger.store.stored_event import StoredEvent
from projector.dead_letters.aggregate_halts import AggregateHalts
from projector.engine.projector import Projector


class Feeder:
    """Feeds projectors; what cannot be applied becomes a dead letter and halts its aggregate, as in the worker.

    One call at a time. Raises ThrottledError, EndpointError or ResourceError when the endpoint fails, and StormError.
    """

    def __init__(
        self, targets: Callable[[], Sequence[Projector[Any]]], aggregate_halts: AggregateHalts, store: EventStore
    ) -> None:
        """``targets``: what to feed at that moment, an aggregate's newest generation first."""
        self._targets = targets
        self._aggregate_halts = aggregate_halts
        self._store = store

    def stored(self, aggregate_id: str) -> int:
        """The aggregate's version in the event store."""
        return self._store.version(aggregate_id).number

    def feed(self, events: Sequence[StoredEvent]) -> None:
        """Make the effect of every event durable: applied, known already, or waiting for its halted aggregate."""
        for target in self._targets():
            self._aggregate_halts.apply(target, events)

    def catch_up(self, aggregate_id: str, until: int) -> None:
        """Fold the aggregate up to version ``until``: feeds that event alone, and the engine reads what is missing."""
        # Read before the targets are asked for: a rebuild that begins after that finds the event in the store.
        events = list(self._store.read(aggregate_id, after=until - 1, until=until))
        for target in self._targets():
            target.forget(aggregate_id)
            self._aggregate_halts.apply(target, events)
