"""Redriving a halted aggregate from the event store, and skipping one event.

Idempotent, and safe to run concurrently and while workers run. The halt is lifted first, on the condition that it is
the one that was read; then the aggregate is folded like any other, and halted again if the cause is still there. A
worker that skipped newer events because it still saw the halt skipped events that the store held by then: folding to
the end of the store after the halt is lifted leaves none behind. From before the first halt is lifted until the letter
is marked as redriven, the letter can halt nothing, or is redriven once more: so no halt outlives its letter.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal

import structlog

from ledger.errors import PermanentError
from ledger.store.change_record import Fits, decode, fits_its_type
from ledger.store.errors import UnusableRecordError
from ledger.store.event_store import EventStore
from projector.dead_letters.aggregate_halts import AggregateHalts
from projector.dead_letters.letters import DeadLetters, Skips, StoredLetter
from projector.engine.fold import Poison
from projector.engine.projector import Projector
from projector.engine.read_model import UnreadableRowError

log = structlog.get_logger(__name__)

#: What became of a letter. "not halted": there was nothing to do; "still halted": by this event, or by a later one.
Result = Literal[
    "redriven",
    "skipped",
    "still halted",
    "not halted",
    "would be redriven",
    "would be skipped",
    "cannot be skipped",
    "still unusable",
]
#: The results after which a person has more to do.
UNDONE: Final = frozenset({"still halted", "cannot be skipped", "still unusable"})

#: Gives projectors of every read model that is fed at that moment, a projection's newest generation first.
Targets = Callable[[], Sequence[Projector[Any]]]


class DeadLetterError(PermanentError):
    """The dead letter is in a state in which this cannot be done to it."""


class NoSuchLetterError(DeadLetterError):
    """There is no dead letter of that id."""


@dataclass(frozen=True, slots=True)
class Redriven:
    """The outcome for one letter. ``versions``: its aggregate's version afterwards, by table."""

    id: str
    result: Result
    aggregate_id: str | None = None
    versions: dict[str, int] = field(default_factory=dict)
    reason: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The outcome as operators see it."""
        return {
            "id": self.id,
            "result": self.result,
            "aggregateId": self.aggregate_id,
            "versions": self.versions,
            "reason": self.reason,
        }


class Redrive:
    """Redrives and skips dead letters with today's code. Raises ThrottledError, EndpointError or ResourceError."""

    def __init__(
        self,
        store: EventStore,
        letters: DeadLetters,
        skips: Skips,
        aggregate_halts: AggregateHalts,
        events_table: str,
        fits: Fits = fits_its_type,
    ) -> None:
        self._store = store
        self._letters = letters
        self._skips = skips
        self._aggregate_halts = aggregate_halts
        self._events_table = events_table
        self._fits = fits

    def letter(self, letter_id: str) -> StoredLetter:
        """Read one letter. Raises NoSuchLetterError."""
        found = self._letters.get(letter_id)
        if found is None:
            raise NoSuchLetterError(
                f"there is no dead letter {letter_id}; `kinfold projector dead-letters list` has all"
            )
        return found

    def redrive(self, letter_id: str, targets: Targets, *, by: str, dry_run: bool = False) -> Redriven:
        """Lift the halt of the letter's aggregate in each target, and fold it on. ``dry_run`` writes nothing.

        The record of a letter without an aggregate is decoded again, and applied if today's code can read it. Raises
        NoSuchLetterError.
        """
        stored = self.letter(letter_id)
        aggregate_id = stored.letter.aggregate_id
        if aggregate_id is None:
            return self._reread(stored, targets, by=by, dry_run=dry_run)
        versions: dict[str, int] = {}
        ended = lifted = False
        while not ended:
            redrive, poison = None if dry_run else self._letters.begin_redrive(letter_id), None
            for target in targets():
                projection = target.model.projection
                if stored.letter.projection not in (None, projection.name) or not projection.takes(aggregate_id):
                    continue
                try:
                    head = target.model.get(aggregate_id)
                    lifted = lifted or (head is not None and head.halted is not None)
                    if not dry_run:
                        # Also where it is not halted: an earlier redrive may have died after it lifted the halt.
                        poison = self._fold_on(aggregate_id, target, targets) or poison
                        head = target.model.get(aggregate_id)
                except UnreadableRowError as error:
                    return Redriven(letter_id, "still halted", aggregate_id, versions, str(error))
                versions[target.model.table] = head.version if head else 0
            if poison is not None:
                return Redriven(letter_id, "still halted", aggregate_id, versions, poison.reason)
            # Once more when a worker has met the letter's event or record again, and halted the aggregate since.
            ended = redrive is None or self._letters.end_redrive(
                letter_id, redrive, by=by, why="folded on from the event store"
            )
        done: Result = "would be redriven" if dry_run else "redriven"
        return Redriven(letter_id, done if lifted else "not halted", aggregate_id, versions)

    def skip(self, letter_id: str, targets: Targets, *, by: str, why: str, dry_run: bool = False) -> Redriven:
        """Skip the letter's event for good, record who decided so and why, and redrive the aggregate.

        Idempotent: repeating it finishes what a crash left undone and keeps the first reason. ``dry_run`` writes
        nothing. Raises DeadLetterError for an event that its aggregate has meanwhile applied.
        """
        stored = self.letter(letter_id)
        aggregate_id = stored.letter.aggregate_id
        if stored.state != "skipped":
            self._check_skippable(stored, targets)
        if dry_run:
            return Redriven(letter_id, "would be skipped", aggregate_id)
        if stored.state != "skipped":
            self._letters.skip(letter_id, by=by, why=why)
            self._skips.add(stored.letter)
            correlation_id = stored.letter.correlation_id
            log.warning(
                "event_skipped", id=letter_id, aggregate=aggregate_id, correlation_id=correlation_id, by=by, why=why
            )
        if aggregate_id is None:
            return Redriven(letter_id, "skipped")
        redriven = self.redrive(letter_id, targets, by=by)
        return redriven if redriven.result == "still halted" else replace(redriven, result="skipped")

    def _fold_on(self, aggregate_id: str, target: Projector[Any], targets: Targets) -> Poison | None:
        """Lift the halt, if any, and fold to the end of the store. Returns the event that halts the aggregate again.

        Newer generations are folded as far first, also one that has begun meanwhile: no flip shows it behind.
        """
        while (head := target.model.get(aggregate_id)) is not None and head.halted is not None:
            target.model.lift(head)
        target.forget(aggregate_id)
        while True:
            head = target.model.get(aggregate_id)
            if head is not None and head.halted is not None:
                # A worker has halted it again meanwhile: for this letter's record, or for another one.
                return Poison(aggregate_id, head.halted.sequence_number, head.halted.reason, None)
            version = head.version if head else 0
            last = self._store.version(aggregate_id).number
            if last <= version:
                return None
            # The last event alone: the engine reads what is missing before it from the store, in bounded rounds.
            events = self._store.load(aggregate_id, after=last - 1, until=last).events
            fed = [each for each in targets() if each.model.projection.name == target.model.projection.name]
            for each in fed:
                for poison in self._aggregate_halts.apply(each, events):
                    return poison
            if target.model.table not in {each.model.table for each in fed}:
                # A rebuild has ended, or was given up, meanwhile.
                return None

    def _reread(self, stored: StoredLetter, targets: Targets, *, by: str, dry_run: bool) -> Redriven:
        try:
            event = decode(stored.letter.raw, self._events_table, self._fits)
        except UnusableRecordError as error:
            return Redriven(stored.id, "still unusable", reason=error.reason)
        if self._store.lost([event.reference]):
            reason = "the events table does not hold its event: it was restored to a moment before it"
            return Redriven(stored.id, "still unusable", event.aggregate_id, reason=reason)
        if dry_run:
            return Redriven(stored.id, "would be redriven", event.aggregate_id)
        redrive = self._letters.begin_redrive(stored.id)
        for target in targets():
            self._aggregate_halts.apply(target, target.model.projection.taken([event]))
        if redrive is not None:
            self._letters.end_redrive(stored.id, redrive, by=by, why="read by today's code")
        return Redriven(stored.id, "redriven", event.aggregate_id)

    def _check_skippable(self, stored: StoredLetter, targets: Targets) -> None:
        letter = stored.letter
        if letter.aggregate_id is not None and letter.sequence_number is None:
            raise DeadLetterError(f"{stored.id} is about a row, and there is no event to skip: {letter.reason}")
        if letter.aggregate_id is None or letter.sequence_number is None or letter.projection is None:
            return
        if self._store.version(letter.aggregate_id).number < letter.sequence_number:
            raise DeadLetterError(
                f"the event store holds no event {letter.sequence_number} of aggregate {letter.aggregate_id}, so there "
                f"is nothing to skip: `kinfold projector dead-letters redrive {stored.id}` redrives the aggregate"
            )
        for target in targets():
            head = target.model.get(letter.aggregate_id)
            if target.model.projection.name == letter.projection and head and head.version >= letter.sequence_number:
                raise DeadLetterError(
                    f"aggregate {letter.aggregate_id} is at version {head.version} in {target.model.table}: event "
                    f"{letter.sequence_number} was applied meanwhile and cannot be skipped"
                )
