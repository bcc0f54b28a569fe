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

    ``feeder`` feeds ``new``. Idempotent. A concurrent redrive wins: once the halt is set, the active generation is read
    again. Raises ThrottledError, EndpointError, ResourceError or StormError.
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
            if head is None or head.halted is None:
                if behind:
                    feeder.catch_up(account_id, shown.version)
                elif new.halt(account_id, head.version if head else None, shown.halted):
                    break
            elif behind and head.halted.dead_letter in accounts:
                new.lift(head)
            else:
                break
        carried = _halted_by(new, account_id, letter_id)
        if carried is not None and _halted_by(active, account_id, letter_id) is None:
            new.lift(carried)


def _halted_by(model: ReadModel[Any], account_id: str, letter_id: str) -> Row[Any] | None:
    head = model.get(account_id)
    by_letter = head is not None and head.halted is not None and head.halted.dead_letter == letter_id
    return head if by_letter else None
