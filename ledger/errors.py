"""The roots of every error that Kinfold raises; the drawing shows the whole tree and where each class is defined.

    KinfoldError
    ├── TransientError              may succeed when tried again
    │   ├── ThrottledError          the endpoint asks to slow down
    │   ├── EndpointError           network, 5xx, an endpoint that is not up yet
    │   │   (ledger.store.errors)
    │   └── TableReplacedError      the events table is another one than all was derived from: `kinfold restore`
    │   (ledger.errors)
    └── PermanentError              the same call will fail again
        ├── ConfigurationError      a setting is missing or wrong
        ├── ResourceError           a table, stream or destination is missing or not as it must be
        │   └── AccessRefusedError      AWS refuses the call: a permission, or the credentials
        │   (ledger.runtime.problems)
        ├── ProblemError            ends an HTTP request with a problem (RFC 9457)
        │   │   (ledger.runtime.auth)
        │   └── AccessError             the caller may not do this
        │       ├── UnauthenticatedError    no token, or none that we know
        │       └── MissingScopeError       a token without the scope that is needed
        │   (ledger.store.errors)
        ├── VersionConflictError    the aggregate is not at the version the caller expected
        ├── NoSuchAggregateError    somebody names an aggregate that has no event
        ├── CommandRecordedError    the command's idempotency key is taken
        ├── ConditionFailedError    internal to the event store: the condition of one write did not hold
        ├── AppendTooLargeError     more than one transaction can hold
        ├── SnapshotError           a snapshot that cannot be used or stored
        ├── RejectedEventError      DynamoDB refuses an event as malformed
        ├── CorruptHistoryError     stored events that break an invariant: a hole, a foreign attribute, a bad payload
        │   └── UndecodableEventError   one event that this code cannot read
        ├── UnusableRecordError     a record of the stream that is no INSERT of an event into our table
        │   └── ForeignRecordError      a change record of another table
        ├── JobRunningError         another process runs the job
        ├── JobLostError            another process took the job over, or ended it
        │   (ledger.aggregates.errors)
        └── RefusedError            a command that breaks a rule of the domain, which has a class of its own for each

Transient and permanent part at the top because a caller has one question first: retry, or report?
"""

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


class AccessRefusedError(ResourceError):
    """AWS refuses the call: a permission is missing, or the credentials are not accepted. Nothing was done.

    ``refused`` says what, such as ``dynamodb:PutItem on table/domain-events-prod``, without the account's number.
    """

    def __init__(self, message: str, refused: str) -> None:
        self.refused = refused
        super().__init__(message)
