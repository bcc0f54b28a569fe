"""Carries halts that no event of the event store explains over into a new generation.

A record that is no event (a tampered one, say) halts its aggregate in every generation that is fed, at whatever version
it has there. The event store does not show why, so a rebuild would lift the halt unasked; that is an operator's
decision. And where the new generation had not met the aggregate yet, readers would see its version go back at the flip.
"""

from contextlib import suppress
from typing import Any

from projector.dead_letters.letters import DeadLetters
from projector.engine.read_model import ReadModel, UnreadableRowError
from projector.ingest.feeder import Feeder


def carry_halts(letters: DeadLetters, active: ReadModel[Any], new: ReadModel[Any], feeder: Feeder) -> dict[str, bool]:
    """Halt in ``new`` each aggregate that ``active`` has halted because of a record, at that version or later.

    Returns the aggregates that were looked at, and whether ``new`` had halted each before.

    No aggregate is taken further than the event store goes, whatever ``active`` shows of events that a restore has
    lost. One that ``active`` has halted for another reason, and ``new`` because of a record, is brought up to it too.
    ``feeder`` feeds ``new``. Idempotent. A concurrent redrive wins: ``new`` is fed, so it lifts the halt there too.
    Raises ThrottledError, EndpointError, ResourceError or StormError.
    """
    aggregates = {
        letter.id: letter.letter.aggregate_id
        for letter in letters.list(state="open")
        if letter.letter.projection is None
        and letter.letter.aggregate_id is not None
        and active.projection.takes(letter.letter.aggregate_id)
    }
    before: dict[str, bool] = {}
    for letter_id, aggregate_id in aggregates.items():
        # What cannot be read in ``new`` keeps it from being shown, and in ``active`` it is replaced.
        with suppress(UnreadableRowError):
            while (shown := active.get(aggregate_id)) is not None:
                head = new.get(aggregate_id)
                before.setdefault(aggregate_id, head is not None and head.halted is not None)
                version = head.version if head else None
                reachable = min(shown.version, feeder.stored(aggregate_id))
                behind = (version or 0) < reachable
                if head is not None and head.halted is not None:
                    if not behind or head.halted.dead_letter not in aggregates:
                        break
                    new.lift(head)
                elif behind:
                    feeder.catch_up(aggregate_id, reachable)
                elif (
                    shown.halted is None
                    or shown.halted.dead_letter != letter_id
                    or new.halt(aggregate_id, version, shown.halted, letters.is_open(letter_id))
                    or not letters.reopen(letter_id)
                ):
                    break
    return before
