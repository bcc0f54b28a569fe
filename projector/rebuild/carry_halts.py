"""Carries halts that no event of the event store explains over into a new generation.

A record that is no event (a tampered one, say) halts its account in every generation that is fed, at whatever version
it has there. The event store does not show why, so a rebuild would lift the halt unasked; that is an operator's
decision. And where the new generation had not met the account yet, readers would see its version go back at the flip.
"""

from typing import Any

from projector.dead_letters.letters import DeadLetters
from projector.engine.read_model import ReadModel
from projector.ingest.feeder import Feeder
from projector.projection import Row


def carry_halts(letters: DeadLetters, active: ReadModel[Any], new: ReadModel[Any], feeder: Feeder) -> None:
    """Halt in ``new`` each account that ``active`` has halted because of a record, at that version or later.

    ``feeder`` feeds ``new``. Idempotent. A concurrent redrive wins: ``new`` is fed, so it lifts the halt there too.
    Raises ThrottledError, EndpointError, ResourceError or StormError.
    """
    accounts = {
        letter.id: letter.letter.account_id
        for letter in letters.list(state="open")
        if letter.letter.projection is None and letter.letter.account_id is not None
    }
    for letter_id, account_id in accounts.items():
        while (shown := _halted_by(active, account_id, letter_id)) is not None:
            assert shown.halted is not None
            head = new.get(account_id)
            behind = (head.version if head else 0) < shown.version
            if head is not None and head.halted is not None:
                if not behind or head.halted.dead_letter not in accounts:
                    break
                new.lift(head)
            elif behind:
                feeder.catch_up(account_id, shown.version)
            else:
                version = head.version if head else None
                if new.halt(account_id, version, shown.halted, letters.is_open(letter_id)):
                    break
                if not letters.reopen(letter_id):
                    break


def _halted_by(model: ReadModel[Any], account_id: str, letter_id: str) -> Row[Any] | None:
    head = model.get(account_id)
    by_letter = head is not None and head.halted is not None and head.halted.dead_letter == letter_id
    return head if by_letter else None
