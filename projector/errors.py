"""What a projection cannot apply: the part of the error tree (``ledger.errors``) that only the projector knows.

PermanentError
├── UnusableRecordError         a record of the stream that is no INSERT of an event into our table
└── UnprojectableEventError     an event that the projection cannot fold
"""

from ledger.errors import PermanentError


class UnusableRecordError(PermanentError):
    """A record of the stream that is not the insertion of an event into the events table.

    ``reason`` never repeats the record's data. ``at`` adds where it was found.
    """

    def __init__(self, reason: str, origin: str = "") -> None:
        self.reason = reason
        super().__init__(f"{origin}: {reason}" if origin else reason)

    def at(self, origin: str) -> "UnusableRecordError":
        """The same error with the record's stream, shard and Kinesis sequence number."""
        return type(self)(self.reason, origin)


class UnprojectableEventError(PermanentError):
    """An event that the projection cannot fold: unreadable, absent from the event store, or against a rule."""

    def __init__(self, account_id: str, sequence_number: int, reason: str) -> None:
        self.account_id = account_id
        self.sequence_number = sequence_number
        self.reason = reason
        super().__init__(f"account {account_id}: event {sequence_number} cannot be applied: {reason}")
