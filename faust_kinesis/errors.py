"""Errors of the transport.

FaustKinesisError
+-- TransientError              passes by itself; the transport has already retried for as long as it was allowed to
|   +-- NotSentError            the worker stopped before a record was put
+-- PermanentError              no retry can help: the worker stops, non-zero
|   +-- ConfigurationError      the app, its agents or its options cannot work with this transport
|   +-- AccessRefusedError      credentials or permissions
|   +-- StreamGoneError         the stream was deleted while it was read
|   +-- CheckpointRefusedError  the stored checkpoint does not belong to this stream
|   +-- RequestRefusedError     the service says that the request itself is wrong
|   +-- LeasesHeldError         leases cannot be reset while workers have them
|   +-- DaemonError             Amazon's KCL ended, hangs, or broke its protocol
|   +-- AgentHungError          no batch was completed for longer than allowed
|   +-- RecordRefusedError      one record cannot be put: too large, bad key, headers
+-- LeaseLostError              another worker has the shard: it stops here, the others go on
"""

from __future__ import annotations

from aws_client.failures import Failure, classify, describe, safe_cause


class FaustKinesisError(Exception):
    """Root of everything this package raises on purpose."""


class TransientError(FaustKinesisError):
    """Throttling, network or a fault of the service, which passes by itself."""


class NotSentError(TransientError):
    """The worker stopped while the record was still waiting to be put. It may be sent again."""


class PermanentError(FaustKinesisError):
    """A fault which no retry mends. Somebody must act."""


class ConfigurationError(PermanentError):
    """The app, its agents or its options do not fit this transport."""


class AccessRefusedError(PermanentError):
    """Credentials are missing or expired, or a permission is."""


class StreamGoneError(PermanentError):
    """The stream was there and is not any more."""


class CheckpointRefusedError(PermanentError):
    """Kinesis does not know the stored sequence number: the stream was made anew under the same name, as a rule."""


class RequestRefusedError(PermanentError):
    """The service refused a request as wrong."""


class RecordRefusedError(PermanentError):
    """A record which Kinesis can never take."""


class LeasesHeldError(PermanentError):
    """Workers still have leases which were to be reset."""


class DaemonError(PermanentError):
    """KCL's daemon, or the way to it, is broken. A new start of the worker goes on from the checkpoints."""


class AgentHungError(PermanentError):
    """Batches are with the agent, and none was completed for longer than allowed."""


class LeaseLostError(FaustKinesisError):
    """A conditional write on a lease found another owner or another counter.

    Nothing was written. Whoever has the lease now goes on from the stored checkpoint.
    """

    def __init__(self, shard_id: str, action: str) -> None:
        super().__init__(f"the lease of {shard_id} is another worker's: it was not {action}")
        self.shard_id = shard_id


_ERRORS: dict[Failure, tuple[type[FaustKinesisError], str]] = {
    Failure.ACCESS_REFUSED: (AccessRefusedError, "access refused: "),
    Failure.CREDENTIALS_MISSING: (AccessRefusedError, "access refused: "),
    Failure.MISCONFIGURED: (ConfigurationError, ""),
    Failure.NOT_FOUND: (RequestRefusedError, ""),
    Failure.CONDITION_FAILED: (RequestRefusedError, ""),
    Failure.REFUSED: (RequestRefusedError, ""),
}


def typed(error: Exception, action: str) -> FaustKinesisError:
    """The error of our tree for a failure, with that failure as its cause; `action` says what was tried.

    What passes by itself is a TransientError, what is no failure of a call a PermanentError.
    """
    if isinstance(error, FaustKinesisError):
        return error
    failure = classify(error)
    if failure is Failure.OTHER:
        named: FaustKinesisError = PermanentError(f"{action}: {error!r}")
    else:
        kind, says = _ERRORS.get(failure, (TransientError, ""))
        named = kind(f"{action}: {says}{describe(error)}")
    named.__cause__ = safe_cause(error)
    return named
