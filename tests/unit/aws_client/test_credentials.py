"""Credentials from a source that fails for a while, as ECS's and EKS's endpoint, over real HTTP."""

import logging
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
import pytest
from botocore import exceptions as sdk
from botocore.utils import ContainerMetadataFetcher

from aws_client import credentials
from aws_client.credentials import install_patient_credentials
from aws_client.failures import Failure, classify
from tests.support.aws.credentials_endpoint import CredentialsEndpoint

if TYPE_CHECKING:
    from botocore.credentials import ReadOnlyCredentials

EXPIRED = b'{"AccessKeyId":"a","SecretAccessKey":"s","Token":"t","Expiration":"2020-01-01T00:00:00Z"}'


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    monkeypatch.setattr(ContainerMetadataFetcher, "SLEEP_TIME", 0)
    monkeypatch.setattr(credentials, "_FAILURE_STANDS", 0.0)


def sign() -> "ReadOnlyCredentials":
    """What a client that is made now signs its requests with."""
    return signer()()


def signer() -> "Callable[[], ReadOnlyCredentials]":
    session = boto3.session.Session(region_name="us-east-1")
    install_patient_credentials(session)
    found = session.get_credentials()
    assert found is not None
    return found.get_frozen_credentials


@pytest.fixture
def endpoint(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[CredentialsEndpoint]:
    with CredentialsEndpoint(getattr(request, "param", 1)) as endpoint:
        for name, value in endpoint.environment.items():
            monkeypatch.setenv(name, value)
        yield endpoint


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, b"fault"),
        (404, b""),
        (200, b'{"code": "InternalError"}'),
        (200, b"<html>"),
        (200, b"\xff"),
        (200, EXPIRED),
    ],
)
def test_whatever_an_endpoint_answers_instead_of_credentials_passes(
    endpoint: CredentialsEndpoint, status: int, body: bytes
) -> None:
    endpoint.fail(status, body)
    frozen = signer()
    for _ in range(2):
        with pytest.raises(sdk.BotoCoreError) as failure:
            frozen()
        assert classify(failure.value) is Failure.CREDENTIALS_UNAVAILABLE
    endpoint.mend()
    assert frozen().access_key == "test"


@pytest.mark.parametrize("endpoint", [300], indirect=True)
def test_credentials_that_cannot_be_renewed_are_used_until_they_end(
    endpoint: CredentialsEndpoint, caplog: pytest.LogCaptureFixture
) -> None:
    frozen = signer()
    frozen()
    endpoint.fail(500, b"fault")
    with caplog.at_level(logging.WARNING, "aws_client"):
        assert [frozen().access_key for _ in range(5)] == ["test"] * 5
    said = [record for record in caplog.records if record.name == "aws_client.credentials"]
    assert [getattr(record, "attempt", None) for record in said] == [1, 4]


def test_threads_that_waited_for_one_attempt_make_no_other(
    endpoint: CredentialsEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(credentials, "_FAILURE_STANDS", 60.0)
    endpoint.fail(500, b"fault")
    frozen, together = signer(), threading.Barrier(16)

    def fails(_: int) -> str:
        together.wait()
        with pytest.raises(sdk.CredentialRetrievalError) as failure:
            frozen()
        return str(failure.value)

    with ThreadPoolExecutor(16) as threads:
        assert len(set(threads.map(fails, range(16)))) == 1
    assert endpoint.asked == ContainerMetadataFetcher.RETRY_ATTEMPTS


def test_a_token_file_that_is_not_there_yet_passes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AWS_ROLE_ARN", "arn:aws:iam::000000000000:role/kinfold")
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(tmp_path / "token"))
    with pytest.raises(sdk.CredentialRetrievalError, match="token") as failure:
        sign()
    assert classify(failure.value).passes


def test_a_metadata_service_that_is_configured_and_silent_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.delenv("AWS_EC2_METADATA_DISABLED")
    with pytest.raises(sdk.CredentialRetrievalError):
        sign()


def test_no_credentials_at_all_do_not_pass() -> None:
    with pytest.raises(sdk.NoCredentialsError):
        sign()


def test_an_endpoint_that_no_sdk_asks_is_a_setting_to_correct(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://example.com/role")
    with pytest.raises(sdk.BotoCoreError, match="AWS_CONTAINER_CREDENTIALS_FULL_URI") as failure:
        sign()
    assert classify(failure.value) is Failure.MISCONFIGURED


def test_lasting_credentials_are_found_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    assert (sign().access_key, sign().token) == ("key", None)
