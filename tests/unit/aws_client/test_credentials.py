"""Credentials from a source that fails for a while, as ECS's and EKS's endpoint, over real HTTP."""

import logging
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
import pytest
from botocore import exceptions as sdk
from botocore.utils import ContainerMetadataFetcher, InstanceMetadataFetcher

from aws_client.credentials import instance_metadata, patient_credentials
from aws_client.credentials.patient_credentials import install_patient_credentials
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
    monkeypatch.setattr(patient_credentials, "_FAILURE_STANDS", 0.0)


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
    said = [record for record in caplog.records if record.name == "aws_client.credentials.patient_credentials"]
    assert [getattr(record, "attempt", None) for record in said] == [1, 4]


def test_threads_that_waited_for_one_attempt_make_no_other(
    endpoint: CredentialsEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patient_credentials, "_FAILURE_STANDS", 60.0)
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


@pytest.fixture
def metadata(monkeypatch: pytest.MonkeyPatch) -> Iterator[CredentialsEndpoint]:
    """The metadata service at the address that no setting names."""
    monkeypatch.delenv("AWS_EC2_METADATA_DISABLED")
    with CredentialsEndpoint(3600) as endpoint:
        monkeypatch.setattr(InstanceMetadataFetcher, "_select_base_url", lambda *_: endpoint.url)
        monkeypatch.setattr(instance_metadata, "_MACHINE", {})
        yield endpoint


@pytest.mark.parametrize(("status", "body"), [(500, b""), (503, b"busy"), (429, b""), (200, b""), (200, b"<html>")])
def test_an_instance_whose_metadata_service_fails_at_the_first_look_passes(
    metadata: CredentialsEndpoint, status: int, body: bytes
) -> None:
    metadata.fail(status, body)
    frozen = signer()
    for _ in range(2):
        with pytest.raises(sdk.CredentialRetrievalError, match=f"HTTP status {status}"):
            frozen()
    metadata.mend()
    assert frozen().access_key == "test"


def test_a_metadata_service_that_takes_connections_and_is_silent_passes(
    metadata: CredentialsEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        monkeypatch.setattr(InstanceMetadataFetcher, "_select_base_url", lambda *_: url)
        with pytest.raises(sdk.CredentialRetrievalError, match="does not answer"):
            sign()


@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_an_instance_without_a_role_and_the_service_of_another_cloud_do_not_pass(
    metadata: CredentialsEndpoint, status: int
) -> None:
    metadata.fail(status, b"")
    with pytest.raises(sdk.NoCredentialsError):
        sign()


@pytest.mark.parametrize(
    ("file", "error"), [("Amazon EC2\n", sdk.CredentialRetrievalError), ("LENOVO\n", sdk.NoCredentialsError)]
)
def test_nobody_at_the_address_passes_on_a_machine_of_ec2_alone(
    metadata: CredentialsEndpoint, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, file: str, error: type[Exception]
) -> None:
    (tmp_path / "sys_vendor").write_text(file)
    machine = {str(tmp_path / "none"): "ec2", str(tmp_path / "sys_vendor"): "amazon ec2"}
    monkeypatch.setattr(instance_metadata, "_MACHINE", machine)
    monkeypatch.setattr(InstanceMetadataFetcher, "_select_base_url", lambda *_: "http://127.0.0.1:1")
    with pytest.raises(error):
        sign()


def test_a_metadata_service_that_the_configuration_file_names_passes(
    metadata: CredentialsEndpoint, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "config").write_text("[default]\nec2_metadata_service_endpoint = http://127.0.0.1:1\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setattr(InstanceMetadataFetcher, "_select_base_url", lambda *_: "http://127.0.0.1:1")
    with pytest.raises(sdk.CredentialRetrievalError, match="does not answer"):
        sign()


def test_a_metadata_service_that_is_named_and_disabled_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:1")
    with pytest.raises(sdk.NoCredentialsError):
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
