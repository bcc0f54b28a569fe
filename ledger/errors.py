"""Every error that Kinfold raises, in one tree.

    KinfoldError
    ├── TransientError              may succeed when tried again
    │   ├── ThrottledError          the endpoint asks to slow down
    │   └── EndpointError           network, 5xx, an endpoint that is not up yet
    └── PermanentError              the same call will fail again
        ├── ConfigurationError      a setting is missing or wrong
        ├── ResourceError           a table, stream or destination is missing or not as it must be
        ├── VersionConflictError    the aggregate is not at the version the caller expected
        ├── CommandRecordedError    the command's idempotency key is taken
        ├── AppendTooLargeError     more than one transaction can hold
        ├── SnapshotError           a snapshot that cannot be used or stored
        ├── RejectedEventError      DynamoDB refuses an event as malformed
        ├── AccessError             the caller may not do this
        │   ├── UnauthenticatedError    no token, or none that we know
        │   └── MissingScopeError       a token without the scope that is needed
        ├── CorruptHistoryError     stored events that break an invariant: a hole, a foreign attribute, a bad payload
        │   └── UndecodableEventError   one event that this code cannot read
        ├── UnusableRecordError     a record of the stream that is no INSERT of an event into our table
        └── RefusedError            a command that breaks a rule of the domain
            ├── InvalidAmountError, CurrencyMismatchError, InsufficientFundsError
            └── BetAlreadyPlacedError, UnknownBetError, BetAlreadySettledError

Transient and permanent part at the top because a caller has one question first: try again, or tell somebody?
"""

from decimal import Decimal
from typing import ClassVar


class KinfoldError(Exception):
    """Root of the tree. ``str(error)`` is a sentence for a person that says what to do."""

    #: What a command that ends with this error exits with.
    exit_code: ClassVar[int] = 1


class TransientError(KinfoldError):
    """The call may succeed when tried again. A write that was sent more than once may have taken effect."""

    #: sysexits.h: EX_TEMPFAIL, the same command may succeed later.
    exit_code = 75


class ThrottledError(TransientError):
    """The endpoint refused the call to protect its capacity."""


class EndpointError(TransientError):
    """The endpoint could not be reached or answered with a fault of its own."""


class PermanentError(KinfoldError):
    """The same call will fail again."""


class ConfigurationError(PermanentError):
    """One or more settings are missing or wrong; the message names each."""

    exit_code = 2


class ResourceError(PermanentError):
    """A table, stream or streaming destination is missing, or not in the state the caller needs."""


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


class CommandRecordedError(PermanentError):
    """The command's idempotency key was recorded by a request that was faster. Nothing was written."""


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


class AccessError(PermanentError):
    """The caller may not do this. The message never repeats a token."""


class UnauthenticatedError(AccessError):
    """The request has no token, or none that this service knows."""


class MissingScopeError(AccessError):
    """The token is known, and does not have the scope that is needed."""

    def __init__(self, principal: str, scope: str) -> None:
        self.scope = scope
        super().__init__(f"token {principal} does not have the scope {scope}, which this needs")


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

    ``reason`` never repeats the record's data. ``account_id`` and ``sequence_number`` are those of the record's keys,
    None where it has none that an event can have.
    """

    def __init__(self, reason: str, account_id: str | None = None, sequence_number: int | None = None) -> None:
        self.reason = reason
        self.account_id = account_id
        self.sequence_number = sequence_number
        super().__init__(reason if account_id is None else f"account {account_id}, event {sequence_number}: {reason}")


class RefusedError(PermanentError):
    """A command broke a rule of the domain. ``rule`` is its stable name; the message gives the figures."""

    rule = "refused"


class InvalidAmountError(RefusedError):
    """An amount that must be positive is not, or a sum would pass what an account can hold."""

    rule = "invalid-amount"


class CurrencyMismatchError(RefusedError):
    """An account has one currency: its first event's."""

    rule = "currency-mismatch"

    def __init__(self, account_id: str, *, account: str, given: str) -> None:
        super().__init__(f"account {account_id} is held in {account}; {given} cannot be booked on it")


class InsufficientFundsError(RefusedError):
    """Neither a withdrawal nor a stake may overdraw the account."""

    rule = "insufficient-funds"

    def __init__(self, account_id: str, *, balance: Decimal, asked: Decimal) -> None:
        self.balance = balance
        self.asked = asked
        super().__init__(f"account {account_id} holds {balance:.2f}; {asked:.2f} cannot be taken from it")


class BetAlreadyPlacedError(RefusedError):
    """A bet is placed once."""

    rule = "bet-already-placed"


class UnknownBetError(RefusedError):
    """Only a bet that was placed can be settled."""

    rule = "unknown-bet"


class BetAlreadySettledError(RefusedError):
    """A bet is settled once."""

    rule = "bet-already-settled"
