"""One classification of AWS failures: what each means, whether it is transient, and how to describe it safely.

Callers map a `Failure` to errors of their own, and keep no lists of codes or of botocore's classes.
"""

from __future__ import annotations

import re
import ssl
from enum import Enum

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,  # noqa: A004 - botocore's own, over all its network errors
    CredentialRetrievalError,
    HTTPClientError,
    IncompleteReadError,
    InvalidProxiesConfigError,
    LoginError,
    MetadataRetrievalError,
    NoAuthTokenError,
    NoCredentialsError,
    PartialCredentialsError,
    ProxyConnectionError,
    RefreshWithMFAUnsupportedError,
    SSLError,
    SSOError,
    TokenRetrievalError,
)
from botocore.parsers import ResponseParserError

from aws_client.sdk_settings import CONFIGURED_WRONGLY, SettingRefusedError


class NotAwsError(BotoCoreError):
    """The answer is another service's: JSON without one member of the operation's."""

    fmt = "{endpoint} answers {operation} as no AWS does"


class Failure(Enum):
    """What a failed call means to its caller."""

    THROTTLED = "the service asks for fewer calls"
    CONTENDED = "another transaction or operation has the resource at the moment"
    FAULT = "the service failed"
    UNREACHABLE = "no answer, or half of one"
    CREDENTIALS_UNAVAILABLE = "whoever hands out credentials does not answer at the moment"
    CONDITION_FAILED = "the condition of a write does not hold"
    NOT_FOUND = "there is no such resource"
    ACCESS_REFUSED = "a permission is missing, or credentials or signature are not accepted"
    CREDENTIALS_MISSING = "there are no usable credentials"
    MISCONFIGURED = "the request cannot be sent as this process is configured"
    REFUSED = "the service refuses the request for another reason"
    OTHER = "no failure of a call"

    @property
    def passes(self) -> bool:
        """Whether the same call may succeed later without anybody doing anything."""
        return self in _TRANSIENT


_TRANSIENT = frozenset(
    {
        Failure.THROTTLED,
        Failure.CONTENDED,
        Failure.FAULT,
        Failure.UNREACHABLE,
        Failure.CREDENTIALS_UNAVAILABLE,
    }
)

# What DynamoDB, Kinesis, STS and KMS answer, of a whole call or of one part of it, and what botocore itself knows.
_CODES = {
    Failure.THROTTLED: """
        BandwidthLimitExceeded EC2ThrottledException KMSThrottlingException LimitExceededException
        PriorRequestNotComplete ProvisionedThroughputExceeded ProvisionedThroughputExceededException
        RequestLimitExceeded RequestThrottled RequestThrottledException SlowDown ThrottledException Throttling
        ThrottlingError ThrottlingException TooManyRequestsException
    """,
    Failure.CONTENDED: """
        ResourceInUseException TransactionConflict TransactionConflictException TransactionInProgressException
    """,
    Failure.FAULT: """
        IDPCommunicationError InternalFailure InternalFailureException InternalServerError RequestTimeout
        RequestTimeoutException ServiceUnavailable
    """,
    Failure.CONDITION_FAILED: """
        ConditionalCheckFailed ConditionalCheckFailedException DuplicateItem DuplicateItemException
    """,
    Failure.NOT_FOUND: "ResourceNotFound ResourceNotFoundException",
    # botocore renews temporary credentials ahead of their end, never after a refusal: an expired token stays one.
    Failure.ACCESS_REFUSED: """
        AccessDenied AccessDeniedException ExpiredToken ExpiredTokenException IncompleteSignature
        IncompleteSignatureException InvalidClientTokenId InvalidSignatureException KMSAccessDeniedException
        MissingAuthenticationToken MissingAuthenticationTokenException SignatureDoesNotMatch
        UnrecognizedClientException
    """,
}
_FAILURE_OF_CODE = {code: failure for failure, codes in _CODES.items() for code in codes.split()}
_NO_CODES = frozenset(str(status) for status in (301, 302, 307, 308, 400, 401, 403, 404, 405, 406, 410, 415, 421, 501))
"""What botocore makes of an answer that has no code: its status. AWS gives a code with each of these."""
_NOT_AWS = (NotAwsError, ResponseParserError)
_NO_CREDENTIALS = (
    LoginError,
    NoAuthTokenError,
    NoCredentialsError,
    PartialCredentialsError,
    RefreshWithMFAUnsupportedError,
    SSOError,
    TokenRetrievalError,
)
_TUNNEL_REFUSED = re.compile(r"Tunnel connection failed: 4\d\d")
_ACTION = re.compile(r"not authorized to perform:? ([\w-]+:\w+)")
_RESOURCE = re.compile(r"on (?:the )?resource:? (?:arn:[^:\s]*:[^:\s]*:[^:\s]*:[^:\s]*:)?(\S+)")
_SIGNED = re.compile(r"AWS4-[A-Z0-9-]+\s.*|(?<=x-amz-security-token:)\S+", re.DOTALL | re.IGNORECASE)
"""The Authorization header and the session token, which a refused signature's message quotes."""


def classify(error: BaseException) -> Failure:
    """What the failure is. `OTHER` for errors that no call of AWS raises, and botocore's complaints about arguments.

    A cancelled transaction is what its items' reasons are: a lost condition before all others.
    """
    if isinstance(error, ClientError):
        reasons: list[dict[str, str]] = error.response.get("CancellationReasons", [])  # type: ignore[assignment]
        failures = {classify_code(each["Code"]) for each in reasons if each.get("Code", "None") != "None"}
        if Failure.CONDITION_FAILED in failures:
            return Failure.CONDITION_FAILED
        if Failure.ACCESS_REFUSED in failures:
            return Failure.ACCESS_REFUSED
        if failures and all(each.passes for each in failures):
            return Failure.CONTENDED
        return classify_code(code_of(error), int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)))
    if isinstance(error, _NO_CREDENTIALS):
        return Failure.CREDENTIALS_MISSING
    if isinstance(error, CredentialRetrievalError | MetadataRetrievalError):
        return Failure.CREDENTIALS_UNAVAILABLE
    if isinstance(error, (*_NOT_AWS, SettingRefusedError, InvalidProxiesConfigError, *CONFIGURED_WRONGLY)):
        return Failure.MISCONFIGURED
    if _never_connects(error) or _is_unsendable(error):
        return Failure.MISCONFIGURED
    if isinstance(error, ConnectionError | HTTPClientError | IncompleteReadError):
        return Failure.UNREACHABLE
    return Failure.OTHER


def classify_code(code: str, status: int = 0) -> Failure:
    """What a service's error code means, of a whole answer with its HTTP status or of one part of an answer."""
    if code in _NO_CODES:
        return Failure.MISCONFIGURED
    known = _FAILURE_OF_CODE.get(code, Failure.THROTTLED if status == 429 else Failure.REFUSED)
    return Failure.FAULT if status >= 500 and not known.passes else known


def is_transient(error: BaseException) -> bool:
    """Whether the same call may succeed later without anybody doing anything."""
    return classify(error).passes


def is_condition_failed(error: BaseException) -> bool:
    """Whether a write was refused because its condition does not hold."""
    return classify(error) is Failure.CONDITION_FAILED


def is_not_found(error: BaseException) -> bool:
    """Whether the service says that the table, stream, shard or row does not exist."""
    return classify(error) is Failure.NOT_FOUND


def code_of(error: BaseException) -> str:
    """The service's error code, or "" for what is no answer of a service."""
    return str(error.response.get("Error", {}).get("Code", "")) if isinstance(error, ClientError) else ""


def describe(error: BaseException) -> str:
    """The failure in words, for a message or the log, without any credential that botocore or the service quotes."""
    if isinstance(error, SettingRefusedError) or classify(error) is not Failure.MISCONFIGURED:
        return _SIGNED.sub("(left out)", _text(error))
    reason = str(error)
    if isinstance(error, (ClientError, *_NOT_AWS)):
        return f"what answers is no AWS ({_text(error)[:200]}); correct AWS_ENDPOINT_URL"
    if _is_unsendable(error):
        reason = "the request cannot be sent: credentials, endpoint or proxy hold a character that HTTP does not allow"
    return f"{_SIGNED.sub('(left out)', reason)}; correct AWS_ENDPOINT_URL, AWS_CA_BUNDLE, HTTPS_PROXY or credentials"


def refused_action(error: BaseException) -> str:
    """What AWS does not allow, such as ``dynamodb:PutItem on table/orders``, as far as it says so.

    Without the ARN's head: who calls one of our services need not learn the number of an account.
    """
    text = _text(error)
    action = _ACTION.search(text)
    resource = _RESOURCE.search(text)
    name = action[1] if action else error.operation_name if isinstance(error, ClientError) else "the call"
    return f"{name} on {resource[1]}" if resource else name


def safe_cause(error: BaseException) -> BaseException | None:
    """The failure as another error's cause; None where its own text, which a traceback shows, holds a credential."""
    quoted = isinstance(error, BotoCoreError | ClientError) and _SIGNED.search(str(error))
    return None if quoted or _is_unsendable(error) else error


def _text(error: BaseException) -> str:
    """`str(error)`; of a service's refusal its code and message, or its HTTP status where it gives no code."""
    if not isinstance(error, ClientError):
        return str(error)
    code = code_of(error) or error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", "refused")
    message = error.response.get("Error", {}).get("Message", "")
    return f"{code}: {message}" if message else str(code)


def _is_unsendable(error: BaseException) -> bool:
    """Whether the HTTP client refuses the request itself, such as a header value with a newline in it.

    botocore wraps that in a bare HTTPClientError, which it otherwise raises for faults of the network.
    """
    return type(error) is HTTPClientError and isinstance(error.kwargs.get("error"), ValueError)


def _never_connects(error: BaseException) -> bool:
    """Whether a certificate, the protocol or the proxy's rules stand in the way, and not the network.

    A handshake that is broken off passes, and so does a proxy that does not answer: it is a server like another.
    """
    if isinstance(error, ProxyConnectionError):
        return _TUNNEL_REFUSED.search(str(error.kwargs.get("error"))) is not None
    wrapped = getattr(error.kwargs.get("error"), "args", ()) if isinstance(error, SSLError) else ()
    return any(
        isinstance(each, ssl.SSLCertVerificationError) or getattr(each, "reason", None) == "WRONG_VERSION_NUMBER"
        for each in wrapped
    )
