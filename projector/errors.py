"""What a projection cannot apply: the part of the error tree (``ledger.errors``) that only the projector knows.

PermanentError
└── UnprojectableEventError     an event that the projection cannot fold
"""

from ledger.domain.events import DomainEvent
from ledger.errors import PermanentError
from ledger.store.errors import UndecodableEventError
from ledger.store.stored_event import StoredEvent


class UnprojectableEventError(PermanentError):
    """An event that the projection cannot fold: unreadable, absent from the event store, or against a rule."""

    def __init__(self, account_id: str, sequence_number: int, reason: str) -> None:
        self.account_id = account_id
        self.sequence_number = sequence_number
        self.reason = reason
        super().__init__(f"account {account_id}: event {sequence_number} cannot be applied: {reason}")


def decoded(stored: StoredEvent) -> DomainEvent:
    """Read the domain event for a fold. Raises UnprojectableEventError when it cannot be read."""
    try:
        return stored.decode()
    except UndecodableEventError as error:
        raise UnprojectableEventError(stored.aggregate_id, stored.sequence_number, error.reason) from None
