"""Commands find what runs for their own profile, and nobody's real credentials go along."""

import os
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest

from kinfold.local.connection import connect
from kinfold.local.environment import pointed_at
from kinfold.local.running import claimed
from ledger.errors import EndpointError

ENDPOINT = "http://127.0.0.1:4566"
REAL = {
    "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "real",
    "AWS_SESSION_TOKEN": "real",
    "AWS_SECURITY_TOKEN": "real",
    "AWS_PROFILE": "real",
    "AWS_DEFAULT_PROFILE": "real",
    "AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/real",
    "AWS_WEB_IDENTITY_TOKEN_FILE": "/real",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1/real",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN": "real",
    "AWS_BEARER_TOKEN_BEDROCK": "real",
}


@pytest.fixture(autouse=True)
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A shell with a home of its own and without any setting of ours or of AWS's; what is changed is put back."""
    monkeypatch.setattr(os, "environ", os.environ.copy())
    for name in list(os.environ):
        if name.startswith(("AWS_", "KINFOLD_")):
            del os.environ[name]
    os.environ["HOME"] = str(tmp_path)


@pytest.fixture
def up() -> Iterator[None]:
    with claimed("up", "local") as claim:
        claim.publish(ENDPOINT, "eu-west-1", {}, {"KINFOLD_DOMAIN": "loyalty", "KINFOLD_BRIDGE": "relay"})
        yield


def test_a_command_is_led_to_what_runs_for_its_profile(up: None) -> None:
    os.environ["KINFOLD_BRIDGE"] = "native"
    found = connect()
    assert found is not None
    assert found.endpoint == os.environ["AWS_ENDPOINT_URL"] == ENDPOINT
    assert os.environ["AWS_REGION"] == "eu-west-1"
    assert os.environ["KINFOLD_DOMAIN"] == "loyalty"
    assert os.environ["KINFOLD_BRIDGE"] == "native", "what is set here counts"


def test_real_credentials_do_not_reach_an_emulator(up: None, tmp_path: Path) -> None:
    config = tmp_path / "credentials"
    config.write_text("[default]\naws_access_key_id=AKIAREAL\naws_secret_access_key=real\naws_session_token=real\n")
    os.environ.update(REAL | {"AWS_REGION": "us-west-2", "AWS_SHARED_CREDENTIALS_FILE": str(config)})
    connect()
    assert "real" not in {os.environ.get(name) for name in REAL}
    found = boto3.session.Session().get_credentials()
    assert found is not None
    assert (found.access_key, found.secret_key, found.token) == ("test", "test", None)
    assert os.environ["AWS_REGION"] == "eu-west-1"


@pytest.mark.parametrize("endpoint", ["http://localhost:4566", "http://127.1.2.3:1", "http://[::1]:4566"])
def test_what_is_on_this_machine_gets_no_real_credentials(endpoint: str) -> None:
    pointed = pointed_at(endpoint, REAL)
    assert {pointed.get(name) for name in REAL} == {"test", None}
    assert pointed_at(endpoint, {"AWS_ACCESS_KEY_ID": "123456789012"})["AWS_ACCESS_KEY_ID"] == "123456789012"


def test_another_machine_gets_the_callers_credentials() -> None:
    assert pointed_at("https://aws.example", REAL) == REAL | {"AWS_ENDPOINT_URL": "https://aws.example"}


def test_an_explicit_endpoint_wins(up: None) -> None:
    os.environ.update(REAL | {"AWS_ENDPOINT_URL": "https://aws.example"})
    before = dict(os.environ)
    assert connect() is None
    os.environ["AWS_ENDPOINT_URL"] = f"{ENDPOINT}/"
    assert connect() is not None
    assert dict(os.environ) == before | {"AWS_ENDPOINT_URL": f"{ENDPOINT}/"}


def test_another_profile_is_left_alone(up: None) -> None:
    os.environ["KINFOLD_PROFILE"] = "prod"
    before = dict(os.environ)
    assert connect() is None
    assert dict(os.environ) == before


def test_who_uses_a_profile_that_is_not_local_is_told_where_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    os.environ["KINFOLD_PROFILE"] = "try"
    with claimed("up", "try") as claim:
        claim.publish(ENDPOINT, "us-east-1", {})
        assert connect() is not None
    assert ENDPOINT in capsys.readouterr().err


def test_the_services_come_before_an_aws_alone(up: None) -> None:
    with claimed("aws", "local") as claim:
        claim.publish("http://127.0.0.1:1", "us-east-1", {})
        assert connect() is not None
    assert os.environ["AWS_ENDPOINT_URL"] == ENDPOINT


def test_an_aws_alone_is_found() -> None:
    with claimed("aws", "local") as claim:
        claim.publish(ENDPOINT, "us-east-1", {})
        assert connect() is not None
    assert os.environ["AWS_ENDPOINT_URL"] == ENDPOINT


def test_what_is_starting_is_no_endpoint_yet() -> None:
    with claimed("up", "local"), pytest.raises(EndpointError, match="still starting"):
        connect()
    assert connect() is None
