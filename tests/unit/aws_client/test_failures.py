"""What each failure of AWS means, and that both trees of errors agree about it."""

import logging
import ssl
import traceback
from collections.abc import Callable
from typing import Any

import boto3
import pytest
from botocore import exceptions as sdk
from botocore.config import Config
from mypy_boto3_dynamodb import DynamoDBClient
from urllib3.exceptions import ProxyError
from urllib3.exceptions import SSLError as Urllib3SSLError

from aws_client.call_pool import CallPool
from aws_client.failures import Failure, classify, classify_code, describe, is_condition_failed, is_not_found
from aws_client.failures import is_transient as passes
from aws_client.sdk_settings import SettingRefusedError
from faust_kinesis import errors as transport
from faust_kinesis.errors import FaustKinesisError, typed
from ledger.errors import (
    AccessRefusedError,
    ConfigurationError,
    EndpointError,
    KinfoldError,
    ResourceError,
    ThrottledError,
)
from ledger.errors import TransientError as LedgerTransientError
from ledger.runtime.aws import aws_errors, translate

Kinds = tuple[type[KinfoldError], type[FaustKinesisError]]

KINDS: dict[Failure, Kinds] = {
    Failure.THROTTLED: (ThrottledError, transport.TransientError),
    Failure.CONTENDED: (ThrottledError, transport.TransientError),
    Failure.FAULT: (EndpointError, transport.TransientError),
    Failure.UNREACHABLE: (EndpointError, transport.TransientError),
    Failure.CREDENTIALS_UNAVAILABLE: (EndpointError, transport.TransientError),
    Failure.CONDITION_FAILED: (ResourceError, transport.RequestRefusedError),
    Failure.NOT_FOUND: (ResourceError, transport.RequestRefusedError),
    Failure.ACCESS_REFUSED: (AccessRefusedError, transport.AccessRefusedError),
    Failure.CREDENTIALS_MISSING: (ConfigurationError, transport.AccessRefusedError),
    Failure.MISCONFIGURED: (ConfigurationError, transport.ConfigurationError),
    Failure.REFUSED: (ResourceError, transport.RequestRefusedError),
    Failure.OTHER: (ResourceError, transport.PermanentError),
}


def refusal(code: str, status: int = 400, message: str = "said so") -> sdk.ClientError:
    answer: Any = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return sdk.ClientError(answer, "PutItem")


def cancelled(*codes: str) -> sdk.ClientError:
    """A transaction that was cancelled, with a reason for each of its items."""
    reasons = [{"Code": code} for code in codes]
    answer: Any = {"Error": {"Code": "TransactionCanceledException"}, "CancellationReasons": reasons}
    return sdk.ClientError(answer, "TransactWriteItems")


def handshake(cause: Exception) -> sdk.SSLError:
    return sdk.SSLError(endpoint_url="https://x", error=Urllib3SSLError(cause))


def no_tunnel(answer: str) -> sdk.ProxyConnectionError:
    return sdk.ProxyConnectionError(proxy_url="http://p", error=ProxyError("no", OSError(answer)))


def wrong_version() -> ssl.SSLError:
    error = ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong version number")
    error.reason = "WRONG_VERSION_NUMBER"
    return error


CODES: dict[Failure, str] = {
    Failure.THROTTLED: (
        "BandwidthLimitExceeded EC2ThrottledException KMSThrottlingException LimitExceededException"
        " PriorRequestNotComplete ProvisionedThroughputExceeded ProvisionedThroughputExceededException"
        " RequestLimitExceeded RequestThrottled RequestThrottledException SlowDown ThrottledException Throttling"
        " ThrottlingError ThrottlingException TooManyRequestsException"
    ),
    Failure.CONTENDED: (
        "ResourceInUseException TransactionConflict TransactionConflictException TransactionInProgressException"
    ),
    Failure.FAULT: (
        "IDPCommunicationError InternalFailure InternalFailureException InternalServerError RequestTimeout"
        " RequestTimeoutException ServiceUnavailable"
    ),
    Failure.CONDITION_FAILED: (
        "ConditionalCheckFailed ConditionalCheckFailedException DuplicateItem DuplicateItemException"
    ),
    Failure.NOT_FOUND: "ResourceNotFound ResourceNotFoundException",
    Failure.ACCESS_REFUSED: (
        "AccessDenied AccessDeniedException ExpiredToken ExpiredTokenException IncompleteSignature"
        " IncompleteSignatureException InvalidClientTokenId InvalidSignatureException KMSAccessDeniedException"
        " MissingAuthenticationToken MissingAuthenticationTokenException SignatureDoesNotMatch"
        " UnrecognizedClientException"
    ),
    Failure.REFUSED: (
        "ExpiredIteratorException InvalidArgumentException KMSDisabledException SerializationException"
        " TransactionCanceledException TrimmedDataAccessException UnknownOperationException ValidationException"
    ),
}

TABLE: list[tuple[Exception, Failure]] = [
    *((refusal(code), failure) for failure, codes in CODES.items() for code in codes.split()),
    (refusal("Whatever", 429), Failure.THROTTLED),
    (refusal("Whatever", 500), Failure.FAULT),
    (refusal("", 503), Failure.FAULT),
    (refusal("ThrottlingException", 503), Failure.THROTTLED),
    (refusal("AccessDeniedException", 500), Failure.FAULT),
    (refusal("Whatever", 403), Failure.REFUSED),
    (cancelled("None", "ConditionalCheckFailed"), Failure.CONDITION_FAILED),
    (cancelled("TransactionConflict", "ConditionalCheckFailed"), Failure.CONDITION_FAILED),
    (cancelled("None", "TransactionConflict", "ThrottlingError"), Failure.CONTENDED),
    (cancelled("TransactionConflict", "ValidationError"), Failure.REFUSED),
    (cancelled("None"), Failure.REFUSED),
    (cancelled("None", "AccessDenied"), Failure.ACCESS_REFUSED),
    (sdk.EndpointConnectionError(endpoint_url="http://x", error="e"), Failure.UNREACHABLE),
    (sdk.ConnectTimeoutError(endpoint_url="http://x", error="e"), Failure.UNREACHABLE),
    (sdk.ReadTimeoutError(endpoint_url="http://x", error="e"), Failure.UNREACHABLE),
    (sdk.ConnectionClosedError(endpoint_url="http://x", error="e"), Failure.UNREACHABLE),
    (sdk.ResponseStreamingError(error="e"), Failure.UNREACHABLE),
    (sdk.IncompleteReadError(actual_bytes=1, expected_bytes=2), Failure.UNREACHABLE),
    (sdk.HTTPClientError(error=OSError("e")), Failure.UNREACHABLE),
    (handshake(ssl.SSLEOFError(8, "EOF occurred in violation of protocol")), Failure.UNREACHABLE),
    (sdk.SSLError(endpoint_url="https://x", error=Urllib3SSLError()), Failure.UNREACHABLE),
    (no_tunnel("Connection refused"), Failure.UNREACHABLE),
    (no_tunnel("Tunnel connection failed: 503 Service Unavailable"), Failure.UNREACHABLE),
    (sdk.CredentialRetrievalError(provider="p", error_msg="e"), Failure.CREDENTIALS_UNAVAILABLE),
    (sdk.MetadataRetrievalError(error_msg="e"), Failure.CREDENTIALS_UNAVAILABLE),
    (sdk.NoCredentialsError(), Failure.CREDENTIALS_MISSING),
    (sdk.PartialCredentialsError(provider="p", cred_var="v"), Failure.CREDENTIALS_MISSING),
    (sdk.NoAuthTokenError(), Failure.CREDENTIALS_MISSING),
    (sdk.TokenRetrievalError(provider="p", error_msg="e"), Failure.CREDENTIALS_MISSING),
    (sdk.UnauthorizedSSOTokenError(), Failure.CREDENTIALS_MISSING),
    (sdk.LoginRefreshRequired(), Failure.CREDENTIALS_MISSING),
    (sdk.RefreshWithMFAUnsupportedError(), Failure.CREDENTIALS_MISSING),
    (sdk.HTTPClientError(error=ValueError("Invalid header value b'x'")), Failure.MISCONFIGURED),
    (handshake(ssl.SSLCertVerificationError(1, "self-signed certificate")), Failure.MISCONFIGURED),
    (handshake(wrong_version()), Failure.MISCONFIGURED),
    (no_tunnel("Tunnel connection failed: 407 Proxy Authentication Required"), Failure.MISCONFIGURED),
    (sdk.InvalidProxiesConfigError(error="e"), Failure.MISCONFIGURED),
    (sdk.ProfileNotFound(profile="p"), Failure.MISCONFIGURED),
    (SettingRefusedError(setting="s", reason="r"), Failure.MISCONFIGURED),
    (sdk.ParamValidationError(report="r"), Failure.OTHER),
    (sdk.NoRegionError(), Failure.OTHER),
    (KeyError("bug"), Failure.OTHER),
]


def test_the_table_has_every_failure() -> None:
    assert {failure for _, failure in TABLE} == set(Failure) == KINDS.keys()


@pytest.mark.parametrize(("error", "failure"), TABLE, ids=repr)
def test_both_trees_agree_about_each_failure(error: Exception, failure: Failure) -> None:
    assert classify(error) is failure
    assert is_condition_failed(error) == (failure is Failure.CONDITION_FAILED)
    assert is_not_found(error) == (failure is Failure.NOT_FOUND)
    ledgers, transports = KINDS[failure]
    named = typed(error, "reading")
    assert type(named) is transports
    assert str(named).startswith("reading: ")
    assert passes(error) == failure.passes == isinstance(named, transport.TransientError)
    if isinstance(error, sdk.ClientError | sdk.BotoCoreError):
        found = translate(error, "reading")
        assert type(found) is ledgers
        assert str(found).startswith("reading: ")
        assert isinstance(found, LedgerTransientError) == failure.passes


@pytest.mark.parametrize(("failure", "codes"), CODES.items(), ids=str)
def test_a_code_of_one_part_of_an_answer_means_the_same(failure: Failure, codes: str) -> None:
    assert {classify_code(code) for code in codes.split()} == {failure}


def test_the_failure_stays_as_the_cause() -> None:
    failure = refusal("ThrottlingException")
    assert typed(failure, "reading").__cause__ is failure
    with pytest.raises(ThrottledError) as error, aws_errors("reading"):
        raise failure
    assert error.value.__cause__ is failure


def client(key: str = "AKIDEXAMPLE", token: str | None = None) -> DynamoDBClient:
    # The request is refused before anything is sent: nothing listens there.
    return boto3.session.Session().client(
        "dynamodb",
        region_name="us-east-1",
        endpoint_url="http://127.0.0.1:1",
        aws_access_key_id=key,
        aws_secret_access_key="s",
        aws_session_token=token,
        config=Config(retries={"total_max_attempts": 1}),
    )


def quoting() -> sdk.ClientError:
    header = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261127/us-east-1/dynamodb/aws4_request, Signature=abcd"
    return refusal("IncompleteSignatureException", message=f"no equal-sign in Authorization header: '{header}'")


def canonical() -> sdk.ClientError:
    text = "POST\n/\n\nhost:h\nx-amz-date:d\nx-amz-security-token:TOKEN\n\nhost\nAWS4-HMAC-SHA256\n2026\nSignature=abcd"
    return refusal("InvalidSignatureException", message=f"The Canonical String should have been '{text}'")


def raised(make: Callable[[], DynamoDBClient]) -> Exception:
    with pytest.raises(sdk.HTTPClientError) as error:
        make().list_tables()
    return error.value


@pytest.mark.parametrize(
    "fail",
    [
        lambda: raised(lambda: client(key="AKIDEXAMPLE\n")),
        lambda: raised(lambda: client(token="TOKEN\nX")),
        quoting,
        canonical,
    ],
    ids=["key with a newline", "token with a newline", "header quoted", "canonical request quoted"],
)
def test_no_message_and_no_traceback_shows_a_credential(fail: Callable[[], Exception]) -> None:
    failure = fail()
    assert any(secret in str(failure) for secret in ("Signature=", "TOKEN"))
    assert not passes(failure)
    with pytest.raises(KinfoldError) as error, aws_errors("reading"):
        raise failure
    shown = [describe(failure)]
    for each in (error.value, typed(failure, "reading")):
        shown += [str(each), *traceback.format_exception(each)]
    for text in shown:
        assert not any(secret in text for secret in ("Signature=", "AKIDEXAMPLE", "TOKEN", "AWS4"))


async def test_a_header_that_cannot_be_sent_is_not_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    calls, attempts = CallPool(1, "test"), 0

    def listed() -> None:
        nonlocal attempts
        attempts += 1
        client(key="AKIDEXAMPLE\n").list_tables()

    with caplog.at_level(logging.INFO), pytest.raises(sdk.HTTPClientError):
        await calls.retry_until_answered("list tables", listed)
    calls.close()
    assert attempts == 1
    assert "AKIDEXAMPLE" not in caplog.text


@pytest.mark.parametrize(
    ("message", "refused"),
    [
        (
            "User: arn:aws:sts::123456789012:assumed-role/w/i is not authorized to perform: dynamodb:PutItem on"
            " resource: arn:aws:dynamodb:eu-west-1:123456789012:table/domain-events-prod because no policy allows",
            "dynamodb:PutItem on table/domain-events-prod",
        ),
        (
            "User: arn:aws:iam::123456789012:user/w is not authorized to perform: sts:AssumeRole on resource:"
            " arn:aws:iam::123456789012:role/kinfold",
            "sts:AssumeRole on role/kinfold",
        ),
        ("Access denied", "PutItem"),
    ],
)
def test_a_refusal_says_what_is_not_allowed_and_not_by_whose_number(message: str, refused: str) -> None:
    found = translate(refusal("AccessDeniedException", message=message), "appending event 2 of alice")
    assert isinstance(found, AccessRefusedError)
    assert found.refused == refused
    assert refused in str(found)
    assert "appending event 2 of alice" in str(found)
    named = typed(refusal("AccessDeniedException", message=message), "reading")
    assert isinstance(named, transport.AccessRefusedError)
    assert refused in str(named)
