"""The clients of a process. What becomes of their failures is tests/unit/aws_client/test_failures.py."""

import pytest

from ledger.runtime.aws import Clients
from ledger.runtime.settings import Settings
from tests.support.aws.fast_clients import reads_pages_at_once, sends_statements_as_they_are


def test_clients_go_the_fast_ways_whoever_uses_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    clients = Clients(Settings.model_validate({"endpoint_url": "http://127.0.0.1:1"}))
    assert reads_pages_at_once(clients.kinesis)
    assert sends_statements_as_they_are(clients.dynamodb)
