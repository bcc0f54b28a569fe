"""What can never be applied is stored as a dead letter, and then its aggregate is halted.

In this order, and the checkpoint moves only after both: a crash in between has the record redelivered, which increments
``attempts`` of the same letter.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import orjson
import structlog

from aws_client.retry import should_log
from ledger.store.stored_event import StoredEvent, timestamp
from projector.dead_letters.letters import DeadLetter, DeadLetters, Origin, Skips, StoredLetter
from projector.dead_letters.storm_guard import StormGuard
from projector.engine.fold import Poison
from projector.engine.projector import Projector
from projector.engine.read_model import ReadModel, UnreadableRowError
from projector.engine.read_model_registry import ReadModels
from projector.metrics import Metrics
from projector.projection import HEAD, Halt

log = structlog.get_logger(__name__)

#: The record that carried an event (aggregate, sequence number): its origin and its raw data; None where none did.
Source = Callable[[str, int], tuple[Origin, bytes] | None]


class AggregateHalts:
    """Stores dead letters and halts aggregates. Idempotent, and safe beside other workers and operators.

    Every method raises ThrottledError, EndpointError or ResourceError when the endpoint fails, and StormError.
    """

    def __init__(
        self,
        letters: DeadLetters,
        skips: Skips,
        models: ReadModels,
        storm: StormGuard,
        metrics: Metrics,
        events_table: str,
    ) -> None:
        self._models = models
        self._letters = letters
        self._skips = skips
        self._storm = storm
        self._metrics = metrics
        self._events_table = events_table

    def apply(
        self,
        projector: Projector[Any],
        events: Sequence[StoredEvent],
        source: Source = lambda _aggregate_id, _sequence_number: None,
    ) -> list[Poison]:
        """Make every event's effect durable: applied, a known duplicate, waiting for its halted aggregate, or stored.

        Returns the events that became dead letters.
        """
        halted: list[Poison] = []
        while events:
            skipped: set[str] = set()
            for poison in projector.apply(events):
                if self.store_and_halt(self._letter(poison, projector, source), [projector], overtaken=True):
                    halted.append(poison)
                else:
                    skipped.add(poison.aggregate_id)
            events = [event for event in events if event.aggregate_id in skipped]
        return halted

    def store_and_halt(self, letter: DeadLetter, projectors: list[Projector[Any]], *, overtaken: bool) -> bool:
        """Store the letter, and halt its aggregate, if it names one, in each of the projectors' read models.

        With ``overtaken``, an aggregate that is past the letter's event by now is left alone: a worker that can
        apply it was faster. Returns False when an operator has skipped the event: apply it again, and it is skipped.
        """
        stored = self._letters.store(letter)
        if letter.aggregate_id is not None and letter.sequence_number is None:
            self._row_unreadable(letter.aggregate_id, stored)
            return True
        self._metrics.dead_letters.inc()
        log.error(
            "dead_letter",
            id=stored.id,
            aggregate=letter.aggregate_id,
            sequence_number=letter.sequence_number,
            correlation_id=letter.correlation_id,
            reason=letter.reason,
            origin=str(letter.origin),
            attempts=stored.attempts,
            action="fix the cause, then `kinfold projector dead-letters redrive`, or skip it",
        )
        if letter.aggregate_id is None or letter.sequence_number is None:
            return True
        # The oldest generation first, so that another worker's event never gets further in it than in a newer one.
        if stored.state != "skipped" and all(
            self._halt(letter.aggregate_id, letter.sequence_number, stored, projector, overtaken=overtaken)
            for projector in reversed(projectors)
            if projector.model.projection.takes(letter.aggregate_id)
        ):
            return True
        self._skips.add(letter)
        return letter.projection is None

    def _row_unreadable(self, aggregate_id: str, stored: StoredLetter) -> None:
        """Tell of an aggregate that waits for its row: until then each of its events finds the row as it is."""
        if should_log(stored.attempts):
            log.error(
                "row_unreadable",
                id=stored.id,
                aggregate=aggregate_id,
                reason=stored.letter.reason,
                attempts=stored.attempts,
                action="kinfold projector verify --repair",
            )
        if stored.attempts == 1:
            self._metrics.dead_letters.inc()
            self._storm.halted(aggregate_id, stored.letter.reason)

    def _letter(self, poison: Poison, projector: Projector[Any], source: Source) -> DeadLetter:
        """The letter of what cannot be applied. Where no record is at hand, one that is stored keeps its origin."""
        if poison.sequence_number is None:
            model = projector.model
            return DeadLetter(poison.reason, Origin(model.table), b"", model.projection.name, poison.aggregate_id)
        record = source(poison.aggregate_id, poison.sequence_number)
        origin, raw = record or (
            Origin(self._events_table),
            orjson.dumps(poison.event.to_item()) if poison.event else b"",
        )
        letter = DeadLetter(
            poison.reason,
            origin,
            raw,
            projection=projector.model.projection.name,
            aggregate_id=poison.aggregate_id,
            sequence_number=poison.sequence_number,
            correlation_id=poison.event.correlation_id if poison.event else None,
        )
        known = None if record else self._letters.get(letter.id)
        if known is None or known.raw_length > len(known.letter.raw):
            return letter
        correlation_id = letter.correlation_id or known.letter.correlation_id
        return replace(known.letter, reason=poison.reason, correlation_id=correlation_id)

    def _halt(
        self,
        aggregate_id: str,
        sequence_number: int,
        stored: StoredLetter,
        projector: Projector[Any],
        *,
        overtaken: bool,
    ) -> bool:
        """Halt the aggregate, unless it is halted or overtaken. False: an operator has skipped the letter meanwhile."""
        is_open = self._letters.is_open(stored.id)
        halt = Halt(sequence_number, stored.letter.reason, timestamp(datetime.now(UTC)), stored.id)
        while True:
            projector.forget(aggregate_id)
            try:
                head = projector.model.get(aggregate_id)
            except UnreadableRowError as error:
                reason, action = str(error), "see the reason"
                log.error("not_halted", aggregate=aggregate_id, id=stored.id, reason=reason, action=action)  # noqa: TRY400
                return True
            if head is not None and (head.halted or (overtaken and head.version >= sequence_number)):
                return True
            if projector.model.halt(aggregate_id, head.version if head else None, halt, is_open):
                break
            if not self._letters.reopen(stored.id):
                return False
        self._metrics.halted.inc()
        log.error(
            "aggregate_halted",
            aggregate=aggregate_id,
            table=projector.model.table,
            sequence_number=sequence_number,
            correlation_id=stored.letter.correlation_id,
            id=stored.id,
        )
        if not self._halted_elsewhere(aggregate_id, projector.model):
            self._storm.halted(aggregate_id, stored.letter.reason)
        return True

    def _halted_elsewhere(self, aggregate_id: str, model: ReadModel[Any]) -> bool:
        """Whether another generation has the aggregate halted too: a rebuild that meets the same event is no storm."""
        others = [
            other
            for other in self._models.fed()
            if other.projection.name == model.projection.name and other.table != model.table
        ]
        return any(head.halted for other in others for head in other.read([(aggregate_id, HEAD)])[0].values())
