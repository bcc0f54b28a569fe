"""What the event store and its tables refuse, and what is wrong with stored data."""

from collections.abc import Collection

from ledger.errors import PermanentError, TransientError


class VersionConflictError(PermanentError):
    """The aggregate was not at the expected version. Nothing was written."""

    def __init__(self, aggregate_id: str, *, expected: int, actual: int, conflicting: int) -> None:
        self.aggregate_id = aggregate_id
        self.expected = expected
        self.actual = actual
        self.conflicting = conflicting
        super().__init__(
            f"{aggregate_id}: expected version {expected}, actual version {actual}; "
            f"event {conflicting} conflicted and nothing was written. Load the aggregate again and decide anew."
        )


class NoSuchAggregateError(PermanentError):
    """Somebody names an aggregate that has no event. Nothing was done."""

    def __init__(self, *aggregate_ids: str) -> None:
        super().__init__(f"the event store holds no event of aggregate {', '.join(aggregate_ids)}")


class CommandRecordedError(PermanentError):
    """Idempotency keys of the append, ``command_ids``, were recorded by requests before it. Nothing was written."""

    def __init__(self, message: str, command_ids: Collection[str]) -> None:
        self.command_ids = command_ids
        super().__init__(message)


class AppendTooLargeError(PermanentError):
    """The events do not fit one transaction: nothing was written."""


class RejectedEventError(PermanentError):
    """DynamoDB refuses an event of the append as malformed: the caller's error. Nothing was written."""


class SnapshotError(PermanentError):
    """A snapshot that this code cannot use, or one that DynamoDB cannot hold. It costs time, never correctness.

    ``reason`` is a stable word for metrics: schema, unreadable or too_large.
    """

    def __init__(self, message: str, *, reason: str) -> None:
        self.reason = reason
        super().__init__(message)


class CorruptHistoryError(PermanentError):
    """What is stored breaks an invariant of the event store."""


class UndecodableEventError(CorruptHistoryError):
    """One event that this code cannot read: an unknown type, a newer schema, a payload that fails validation."""

    def __init__(self, aggregate_id: str, sequence_number: int, reason: str) -> None:
        self.aggregate_id = aggregate_id
        self.sequence_number = sequence_number
        self.reason = reason
        super().__init__(f"{aggregate_id}: event {sequence_number} cannot be read: {reason}")


class UnusableRecordError(PermanentError):
    """A record of the stream that is not the insertion of an event into the events table.

    ``reason`` never repeats the record's data. ``aggregate_id`` and ``sequence_number`` are those of the record's keys,
    None where it has none that an event can have.
    """

    def __init__(self, reason: str, aggregate_id: str | None = None, sequence_number: int | None = None) -> None:
        self.reason = reason
        self.aggregate_id = aggregate_id
        self.sequence_number = sequence_number
        super().__init__(
            reason if aggregate_id is None else f"aggregate {aggregate_id}, event {sequence_number}: {reason}"
        )


class ForeignRecordError(UnusableRecordError):
    """A change record of another table than ours."""

    def __init__(self, table: str, ours: str) -> None:
        self.table = table
        super().__init__(f"a change record of table {table[:80]!r}, not of {ours!r}")


class ConditionFailedError(PermanentError):
    """Internal to the event store: the write's condition did not hold at this sequence number.

    ``resent``: the request had been sent before, so that the event in the way may be our own.
    """

    def __init__(self, conflicting: int, *, resent: bool) -> None:
        super().__init__(conflicting)
        self.conflicting = conflicting
        self.resent = resent


class TableReplacedError(TransientError):
    """The events table was made anew since everything derived was made. Passes once `kinfold restore` has been run."""

    #: As for read models that do not agree with the event store: an operator has to act.
    exit_code = 4


class JobRunningError(PermanentError):
    """Another process runs the job. Nothing was changed."""

    #: Busy: the same command succeeds once the other process is done.
    exit_code = 6


class JobLostError(PermanentError):
    """The job no longer belongs to this process: it was ended, or taken over while this process stood still."""
