"""What the AWS SDK refuses of its settings is named, in the error of every caller."""

import os
from pathlib import Path
from typing import cast

import faust
import pytest
from botocore.exceptions import BotoCoreError

from faust_kinesis import errors as transport
from faust_kinesis.transport import Transport
from kinfold.local.environment import service_clients
from ledger.errors import ConfigurationError, KinfoldError
from ledger.runtime.aws import Clients, aws_errors
from ledger.runtime.settings import Settings, load_settings

BROKEN = "[default\nregion"
REFUSED = [
    ("AWS_PROFILE", "nope"),
    ("AWS_PROFILE", ""),
    ("AWS_DEFAULT_PROFILE", "nope"),
    ("AWS_REGION", "us-east-1\r"),
    ("AWS_REGION", "us east"),
    ("AWS_DEFAULT_REGION", "us_east_1"),
    ("AWS_ENDPOINT_URL", "http://my_host:4566"),
    ("AWS_ENDPOINT_URL", "http://my_host:4566/"),
    ("AWS_ACCESS_KEY_ID", "AKID\r"),
    ("AWS_SECRET_ACCESS_KEY", "secret\r\n"),
    ("AWS_SECRET_ACCESS_KEY", ""),
    ("AWS_SESSION_TOKEN", "a\nb"),
    ("AWS_CONFIG_FILE", BROKEN),
    ("AWS_SHARED_CREDENTIALS_FILE", BROKEN),
    ("AWS_DEFAULTS_MODE", "foo"),
    ("AWS_STS_REGIONAL_ENDPOINTS", "foo"),
    ("AWS_ACCOUNT_ID_ENDPOINT_MODE", "foo"),
    ("AWS_REQUEST_CHECKSUM_CALCULATION", "foo"),
    ("AWS_REQUEST_MIN_COMPRESSION_SIZE_BYTES", "abc"),
    ("AWS_METADATA_SERVICE_TIMEOUT", "abc"),
]
#: Found out where credentials are looked for, which the demo leaves to its services.
OF_SOURCES = [("AWS_SECRET_ACCESS_KEY", ""), ("AWS_METADATA_SERVICE_TIMEOUT", "abc")]


@pytest.fixture(params=REFUSED, ids=lambda case: f"{case[0]}={case[1]!r}")
def refused(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """The name of a variable whose value the SDK refuses, among others that it takes."""
    name, value = request.param
    for each in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(each, raising=False)
    good = {"AWS_ACCESS_KEY_ID": "AKID", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_ENDPOINT_URL": "http://127.0.0.1:1"}
    if value == BROKEN:
        value = str(tmp_path / "file")
        Path(value).write_text(BROKEN)
    for variable, text in (good | {name: value}).items():
        monkeypatch.setenv(variable, text)
    return str(name)


def names_it(error: Exception, refused: str) -> None:
    assert refused in str(error)
    assert "secret\r" not in str(error)
    assert "AKID" not in str(error)


def test_services_and_operators_commands_name_it(refused: str) -> None:
    with pytest.raises(ConfigurationError) as error, aws_errors("asking"):
        Clients(load_settings(Settings)).dynamodb.list_tables()
    names_it(error.value, refused)


@pytest.mark.parametrize("refused", [case for case in REFUSED if case not in OF_SOURCES], indirect=True)
def test_the_demo_names_it(refused: str) -> None:
    with pytest.raises(KinfoldError) as error, aws_errors("asking"):
        service_clients("http://my_host:1" if refused == "AWS_ENDPOINT_URL" else "http://127.0.0.1:1", "demo-x")
    assert isinstance(error.value, ConfigurationError)
    names_it(error.value, refused)


@pytest.mark.parametrize("refused", [case for case in REFUSED if case[0] != "AWS_REGION"], indirect=True)
def test_a_transport_without_clients_of_its_own_names_it(refused: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", os.environ.get("AWS_DEFAULT_REGION", "us-east-1"))
    app = faust.App("orders", broker="kinesis://")
    with pytest.raises((transport.ConfigurationError, BotoCoreError)) as error:
        cast("Transport", app.transport).kinesis.list_streams()
    names_it(transport.typed(error.value, "asking"), refused)
