"""The transport's clients: handed over or its own, they read pages at once; a source leaves them alone."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import boto3
import faust
import pytest

from betting.projections.balance_summary import BALANCE_SUMMARY
from faust_kinesis.options import KinesisOptions
from faust_kinesis.polling.source import PollingSource
from faust_kinesis.transport import Transport, configure
from projector.engine.read_model import ReadModel
from tests.support.aws.fast_clients import reads_pages_at_once, sends_statements_as_they_are

OPTIONS = KinesisOptions(application="app", worker_id="w1")


def client(service: str) -> Any:
    session = boto3.session.Session("test", "test", region_name="us-east-1")
    return session.client(service)  # type: ignore[call-overload]


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> faust.App:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    return faust.App("app", broker="kinesis://", datadir=tmp_path)


def test_a_client_that_is_handed_over_reads_pages_at_once(app: faust.App) -> None:
    kinesis, dynamodb = client("kinesis"), client("dynamodb")
    transport = configure(app, OPTIONS, kinesis=kinesis, dynamodb=dynamodb)
    assert transport.kinesis is kinesis
    assert reads_pages_at_once(kinesis)


def test_a_client_of_its_own_reads_pages_at_once(app: faust.App) -> None:
    assert reads_pages_at_once(cast("Transport", app.transport).kinesis)


def test_no_constructor_changes_a_client() -> None:
    kinesis, dynamodb = client("kinesis"), client("dynamodb")
    PollingSource("s", OPTIONS, kinesis=kinesis, dynamodb=dynamodb)
    with ThreadPoolExecutor(1) as executor:
        ReadModel(dynamodb, BALANCE_SUMMARY, "t", executor)
    assert not reads_pages_at_once(kinesis)
    assert not sends_statements_as_they_are(dynamodb)
