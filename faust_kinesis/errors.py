"""Errors of the transport.

FaustKinesisError
+-- TransientError              may succeed later; the transport has already retried for as long as allowed
|   +-- NotSentError            the worker stopped before a record was put
+-- PermanentError              retrying cannot help: the worker exits non-zero
|   +-- ConfigurationError      the app, its agents or its options cannot work with this transport
|   +-- AccessRefusedError      credentials or permissions
|   +-- StreamGoneError         the stream was deleted while it was read
|   +-- CheckpointRefusedError  the stored checkpoint does not belong to this stream
|   +-- RequestRefusedError     the service rejects the request itself
|   +-- LeasesHeldError         leases cannot be reset while workers hold them
|   +-- DaemonError             Amazon's KCL ended, hangs, or violated its protocol
|   +-- AgentHungError          no batch was completed for longer than allowed
|   +-- RecordRefusedError      one record cannot be put: too large, bad key, headers
+-- LeaseLostError              another worker owns the shard: it stops here, the others continue
"""

from __future__ import annotations

from aws_client.failures import Failure, classify, describe, refused_action, safe_cause


class FaustKinesisError(Exception):
    """Root of everything this package raises on purpose."""


class TransientError(FaustKinesisError):
    """Throttling, the network, or a fault of the service: the same call may succeed later."""


class NotSentError(TransientError):
    """The worker stopped while the record was still queued. It may be sent again."""


class PermanentError(FaustKinesisError):
    """Retrying cannot help: somebody must act."""


class ConfigurationError(PermanentError):
    """The app, its agents, its options or its environment cannot work with this transport."""


class AccessRefusedError(PermanentError):
    """Credentials are missing or expired, or a permission is."""


class StreamGoneError(PermanentError):
    """The stream was deleted while it was read."""


class CheckpointRefusedError(PermanentError):
    """Kinesis does not know the stored sequence number: usually the stream was recreated under the same name."""


class RequestRefusedError(PermanentError):
    """The service rejected a request as invalid."""


class RecordRefusedError(PermanentError):
    """A record that Kinesis can never accept."""


class LeasesHeldError(PermanentError):
    """Workers still hold leases that were to be reset."""


class DaemonError(PermanentError):
    """KCL's daemon, or the connection to it, is broken. A restarted worker resumes from the checkpoints."""


class AgentHungError(PermanentError):
    """The agents hold batches and have completed none for longer than allowed."""


class LeaseLostError(FaustKinesisError):
    """A conditional write on a lease found another owner or another counter.

    Nothing was written. The new owner resumes from the stored checkpoint.
    """

    def __init__(self, shard_id: str, action: str) -> None:
        super().__init__(f"the lease of {shard_id} is another worker's: it was not {action}")
        self.shard_id = shard_id


_ERRORS: dict[Failure, tuple[type[FaustKinesisError], str]] = {
    Failure.CREDENTIALS_MISSING: (AccessRefusedError, "access refused: "),
    Failure.MISCONFIGURED: (ConfigurationError, ""),
    Failure.NOT_FOUND: (RequestRefusedError, ""),
    Failure.CONDITION_FAILED: (RequestRefusedError, ""),
    Failure.REFUSED: (RequestRefusedError, ""),
}


def typed(error: Exception, action: str) -> FaustKinesisError:
    """The error of this package for a failure, with that failure as its cause; `action` is what was tried.

    A transient failure is a TransientError; what is no failure of a call at all, a PermanentError.
    """
    if isinstance(error, FaustKinesisError):
        return error
    failure = classify(error)
    if failure is Failure.OTHER:
        named: FaustKinesisError = PermanentError(f"{action}: {error!r}")
    elif failure is Failure.ACCESS_REFUSED:
        named = AccessRefusedError(f"{action}: AWS refuses {refused_action(error)}: {describe(error)}")
    else:
        kind, says = _ERRORS.get(failure, (TransientError, ""))
        named = kind(f"{action}: {says}{describe(error)}")
    named.__cause__ = safe_cause(error)
    return named
