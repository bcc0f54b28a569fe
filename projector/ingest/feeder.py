"""Events from the event store into one read model, where no record of the stream brought them."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import orjson

from ledger.store.event_store import EventStore
from ledger.store.stored_event import StoredEvent
from projector.components import Components
from projector.dead_letters.account_halts import AccountHalts
from projector.dead_letters.letters import DeadLetter, DeadLetters, Origin
from projector.engine.fold import Poison
from projector.engine.projector import Projector
from projector.engine.read_model import ReadModel


class Feeder:
    """Feeds one projector; what cannot be applied becomes a dead letter and halts its account, as in the worker.

    One call at a time. Raises ThrottledError, EndpointError or ResourceError when the endpoint fails, and StormError.
    """

    def __init__(
        self,
        projector: Projector[Any],
        account_halts: AccountHalts,
        letters: DeadLetters,
        store: EventStore,
        events_table: str,
    ) -> None:
        self._projector = projector
        self._account_halts = account_halts
        self._letters = letters
        self._store = store
        self._events_table = events_table

    def feed(self, events: Sequence[StoredEvent]) -> None:
        """Make the effect of every event durable: applied, known already, or waiting for its halted account."""
        while True:
            again = {
                poison.account_id
                for poison in self._projector.apply(events)
                if not self._account_halts.store_and_halt(self._letter(poison), [self._projector], overtaken=True)
            }
            if not again:
                return
            events = [event for event in events if event.aggregate_id in again]

    def catch_up(self, account_id: str, until: int) -> None:
        """Fold the account on to version ``until``: its last event is fed, the engine reads what is missing before."""
        self._projector.forget(account_id)
        self.feed(list(self._store.read(account_id, after=until - 1, until=until)))

    def _letter(self, poison: Poison) -> DeadLetter:
        """The letter that is there already, with today's reason, so that its origin is kept; or a new one."""
        letter = DeadLetter(
            poison.reason,
            Origin(self._events_table),
            orjson.dumps(poison.event.to_item()) if poison.event else b"",
            projection=self._projector.model.projection.name,
            account_id=poison.account_id,
            sequence_number=poison.sequence_number,
        )
        known = self._letters.get(letter.id)
        if known is None or known.raw_length > len(known.letter.raw):
            return letter
        return replace(known.letter, reason=poison.reason)


def feeder_of(components: Components, model: ReadModel[Any], *, cache_size: int) -> Feeder:
    """A feeder with an engine of its own. ``cache_size``: rows kept in memory."""
    skipped = components.skips.of(model.projection.name)
    projector = Projector(components.store, model, components.metrics, skipped=skipped, cache_size=cache_size)
    return Feeder(projector, components.account_halts, components.letters, components.store, components.names.events)
