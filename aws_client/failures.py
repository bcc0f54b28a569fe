"""Which failures of AWS calls pass by themselves."""

from __future__ import annotations

from botocore.exceptions import (
    ClientError,
    ConnectionError,  # noqa: A004 - botocore's own, over all its network errors
    HTTPClientError,
    IncompleteReadError,
)

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
ACCESS_REFUSALS = frozenset(
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
