"""Carries halts that no event of the event store explains over into a new generation.

A record that is no event (a tampered one, say) halts its account in every generation that is fed. The event store
does not show why, so a rebuild would lift the halt unasked; that is an operator's decision.
"""

from typing import Any

from projector.dead_letters.letters import DeadLetters
from projector.engine.read_model import ReadModel


def carry_halts(letters: DeadLetters, active: ReadModel[Any], new: ReadModel[Any]) -> None:
    """Halt in ``new`` each account that ``active`` has halted because of a record. Idempotent.

    A concurrent redrive wins: once the halt is set, the active generation is read again. Raises ThrottledError,
    EndpointError or ResourceError.
    """
    for letter in letters.list(state="open"):
        account_id = letter.letter.account_id
        if letter.letter.projection is not None or account_id is None:
            continue
        while (halt := _halt_of(active, account_id, letter.id)) is not None:
            head = new.get(account_id)
            if (head is not None and head.halted) or new.halt(account_id, head.version if head else None, halt):
                break
        head = new.get(account_id)
        ours = head is not None and head.halted is not None and head.halted.dead_letter == letter.id
        if head is not None and ours and _halt_of(active, account_id, letter.id) is None:
            new.lift(head)


def _halt_of(model: ReadModel[Any], account_id: str, letter_id: str) -> Any:
    head = model.get(account_id)
    if head is None or head.halted is None or head.halted.dead_letter != letter_id:
        return None
    return head.halted
