from typing import Any

import pytest
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    ReadTimeoutError,
)

from ledger.errors import ConfigurationError, EndpointError, KinfoldError, ResourceError, ThrottledError
from ledger.runtime.aws import aws_errors, translate


def client_error(code: str, status: int = 400, message: str = "said so") -> ClientError:
    response: Any = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(response, "PutItem")


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (client_error("ProvisionedThroughputExceededException"), ThrottledError),
        (client_error("ThrottlingException"), ThrottledError),
        (client_error("TransactionConflictException"), ThrottledError),
        (client_error("TransactionInProgressException"), ThrottledError),
        (client_error("InternalServerError", 500), EndpointError),
        (client_error("Whatever", 503), EndpointError),
        (client_error("ResourceNotFoundException"), ResourceError),
        (client_error("AccessDeniedException"), ResourceError),
        (client_error("ValidationException"), ResourceError),
        (EndpointConnectionError(endpoint_url="http://x"), EndpointError),
        (ConnectTimeoutError(endpoint_url="http://x"), EndpointError),
        (ReadTimeoutError(endpoint_url="http://x"), EndpointError),
        (NoCredentialsError(), ConfigurationError),
    ],
    ids=str,
)
def test_an_sdk_failure_becomes_an_error_of_the_tree(
    error: ClientError | BotoCoreError, kind: type[KinfoldError]
) -> None:
    found = translate(error, "appending")
    assert type(found) is kind
    assert str(found).startswith("appending: ")


def test_the_sdk_failure_stays_as_the_cause() -> None:
    failure = client_error("ThrottlingException")
    with pytest.raises(ThrottledError) as error, aws_errors("appending"):
        raise failure
    assert error.value.__cause__ is failure
