from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError, ReadTimeoutError
from hypothesis import given
from hypothesis import strategies as st

from aws_client.failures import is_throttle, is_transient
from aws_client.retry import delay, should_log
from faust_kinesis.errors import (
    AccessRefusedError,
    FaustKinesisError,
    PermanentError,
    RequestRefusedError,
    StreamGoneError,
    typed,
)


def refusal(code: str, status: int = 400) -> ClientError:
    answer: Any = {"Error": {"Code": code, "Message": "m"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(answer, "GetRecords")


@pytest.mark.parametrize(
    "error",
    [
        refusal("ProvisionedThroughputExceededException"),
        refusal("LimitExceededException"),
        refusal("KMSThrottlingException"),
        refusal("InternalFailure"),
        refusal("Whatever", 503),
        EndpointConnectionError(endpoint_url="http://x"),
        ReadTimeoutError(endpoint_url="http://x"),
    ],
)
def test_what_passes_by_itself(error: Exception) -> None:
    assert is_transient(error)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (refusal("AccessDeniedException"), AccessRefusedError),
        (NoCredentialsError(), AccessRefusedError),
        (refusal("ValidationException"), RequestRefusedError),
        (StreamGoneError("gone"), StreamGoneError),
        (KeyError("bug"), PermanentError),
    ],
)
def test_what_does_not(error: Exception, kind: type[FaustKinesisError]) -> None:
    assert not is_transient(error)
    named = typed(error, "read s")
    assert type(named) is kind
    assert named is error or named.__cause__ is error


def test_an_expired_iterator_and_a_missing_stream_are_for_the_caller() -> None:
    assert not is_transient(refusal("ExpiredIteratorException"))
    assert not is_transient(refusal("ResourceNotFoundException"))


def test_throttles_are_told_apart() -> None:
    assert is_throttle(refusal("ThrottlingException"))
    assert not is_throttle(refusal("InternalFailure"))


@given(st.integers(1, 10_000), st.floats(0, 1, exclude_max=True))
def test_delay_grows_to_a_bound_and_keeps_half_of_itself(attempt: int, draw: float) -> None:
    wait = delay(attempt, draw, base=0.1, most=15.0)
    full = min(15.0, 0.1 * 2.0 ** min(attempt - 1, 30))
    assert full / 2 <= wait <= full


def test_an_outage_does_not_flood_the_log() -> None:
    assert [attempt for attempt in range(1, 100) if should_log(attempt)] == [1, 4, 8, 16, 32, 64]
