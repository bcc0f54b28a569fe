"""Which failures pass by themselves, and how long to wait. Pure: nothing here sleeps or logs."""

from __future__ import annotations

from botocore.exceptions import (
    ClientError,
    ConnectionError,  # noqa: A004 - botocore's own, over all its network errors
    HTTPClientError,
    IncompleteReadError,
    NoCredentialsError,
    PartialCredentialsError,
)

from faust_kinesis.errors import AccessRefusedError, FaustKinesisError, PermanentError, RequestRefusedError

THROTTLES = frozenset(
    {
        "KMSThrottlingException",
        "LimitExceededException",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "SlowDown",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)
"""Codes of an overload; each of these services answers with one or another (botocore retries by the same list)."""

FAULTS = frozenset({"InternalFailure", "InternalFailureException", "InternalServerError", "ServiceUnavailable"})
_BUSY = frozenset({"ResourceInUseException", "RequestTimeout", "RequestTimeoutException"})
_ACCESS = frozenset(
    {
        "AccessDenied",
        "AccessDeniedException",
        "ExpiredTokenException",
        "IncompleteSignature",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "KMSAccessDeniedException",
        "MissingAuthenticationToken",
        "UnrecognizedClientException",
    }
)


def code_of(error: BaseException) -> str:
    """The service's error code, or "" for what is no answer of a service."""
    return str(error.response.get("Error", {}).get("Code", "")) if isinstance(error, ClientError) else ""


def is_throttle(error: BaseException) -> bool:
    """Whether the service asks to be called less often."""
    return code_of(error) in THROTTLES


def is_transient(error: BaseException) -> bool:
    """Whether the same call may succeed later without anybody doing anything."""
    if isinstance(error, ClientError):
        status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        return status >= 500 or code_of(error) in THROTTLES | FAULTS | _BUSY
    return isinstance(error, ConnectionError | HTTPClientError | IncompleteReadError)


def delay(attempt: int, draw: float, *, base: float = 0.1, most: float = 15.0) -> float:
    """Seconds before attempt `attempt` + 1: exponential from `base` up to `most`, the upper half of it random.

    `draw` in [0, 1) is the randomness, so that the answer is a function of its arguments alone. Attempts count from 1.
    """
    full = min(most, base * 2.0 ** min(attempt - 1, 30))
    return full / 2 + full / 2 * draw


def should_log(attempt: int) -> bool:
    """Whether to say that this attempt failed: the 1st, 4th, 8th, 16th ... so that no outage floods the log."""
    return attempt == 1 or (attempt >= 4 and attempt & (attempt - 1) == 0)


def typed(error: Exception, action: str) -> FaustKinesisError:
    """The error for a failure that is not transient, with that failure as its cause; `action` says what was tried."""
    if isinstance(error, FaustKinesisError):
        return error
    named = _named(error, action)
    named.__cause__ = error
    return named


def _named(error: Exception, action: str) -> FaustKinesisError:
    if isinstance(error, NoCredentialsError | PartialCredentialsError) or code_of(error) in _ACCESS:
        return AccessRefusedError(f"{action}: access refused: {error}")
    if isinstance(error, ClientError):
        return RequestRefusedError(f"{action}: {error}")
    return PermanentError(f"{action}: {error!r}")
