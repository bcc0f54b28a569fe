"""The clients of a process, and how it waits for their endpoint. Failures: tests/unit/aws_client/test_failures.py."""

import time
from types import SimpleNamespace
from typing import Any, cast

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from botocore.useragent import UserAgentComponent

from ledger.errors import EndpointError, ResourceError
from ledger.runtime.aws import Clients, wait_for_endpoint
from ledger.runtime.settings import Settings
from tests.support.aws.answers import Answers
from tests.support.aws.fast_clients import reads_pages_at_once, sends_statements_as_they_are


def test_clients_go_the_fast_ways_whoever_uses_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    clients = Clients(Settings.model_validate({"endpoint_url": "http://127.0.0.1:1"}))
    assert reads_pages_at_once(clients.kinesis)
    assert sends_statements_as_they_are(clients.dynamodb)


def test_the_name_of_the_client_is_not_put_together_at_each_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    clients = Clients(Settings.model_validate({"endpoint_url": "http://127.0.0.1:1"}))
    monkeypatch.setattr(UserAgentComponent, "to_string", None)
    answers = Answers("dynamodb", client=clients.dynamodb)
    sent: list[str] = []
    clients.dynamodb.meta.events.register(
        "before-send", lambda request, **_: sent.append(request.headers["User-Agent"])
    )
    answers.client.list_tables()
    assert "kinfold" in str(sent[0])


class FakeAws:
    """An endpoint that answers after ``refusals`` calls; table "new" is ACTIVE at the second look, "late" never."""

    def __init__(self, refusals: int = 0) -> None:
        self.refusals = refusals
        self.looks: list[str] = []

    def list_tables(self, **_: Any) -> None:
        if self.refusals:
            self.refusals -= 1
            raise EndpointConnectionError(endpoint_url="http://aws")

    def list_streams(self, **_: Any) -> None:
        self.looks.append("endpoint")

    def describe_table(self, *, TableName: str) -> Any:  # noqa: N803 - boto3's name
        self.looks.append(TableName)
        if TableName == "absent":
            raise ClientError({"Error": {"Code": "ResourceNotFoundException"}}, "DescribeTable")
        active = TableName == "new" and self.looks.count("new") > 1
        return {"Table": {"TableStatus": "ACTIVE" if active else "CREATING"}}


def wait(aws: FakeAws, seconds: float, *tables: str) -> list[str]:
    lines: list[str] = []
    clients = cast("Clients", SimpleNamespace(dynamodb=aws, kinesis=aws, endpoint="http://aws"))
    wait_for_endpoint(clients, seconds, lines.append, tables)
    return lines


def test_a_table_is_looked_at_once_the_endpoint_answers_until_it_is_active() -> None:
    aws = FakeAws(refusals=1)
    assert wait(aws, 60, "new") == [
        "waiting for http://aws to answer",
        "waiting for table new: `kinfold bridge ensure` creates it",
    ]
    assert aws.looks == ["endpoint", "new", "new"]


def test_an_endpoint_that_stays_away_is_not_asked_for_its_tables() -> None:
    aws = FakeAws(refusals=1_000)
    with pytest.raises(EndpointError, match="reaching http://aws"):
        wait(aws, 0, "new")
    assert not aws.looks


@pytest.mark.parametrize(("table", "why"), [("late", "table late is CREATING"), ("absent", "kinfold bridge ensure")])
def test_what_the_endpoint_took_is_not_left_for_the_tables(
    monkeypatch: pytest.MonkeyPatch, table: str, why: str
) -> None:
    clock = iter([0.0, 59.0, 61.0])
    monkeypatch.setattr("ledger.runtime.aws.time", SimpleNamespace(monotonic=lambda: next(clock)))
    aws, started = FakeAws(), time.monotonic()
    with pytest.raises(ResourceError, match=why):
        wait(aws, 60.0, table)
    assert time.monotonic() - started < 30
    assert aws.looks[:2] == ["endpoint", table]
