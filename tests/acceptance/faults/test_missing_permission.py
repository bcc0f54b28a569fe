"""A permission is missing: a service answers 503, or stops, and names the action and the resource."""

from collections.abc import Callable, Iterator

import httpx
import pytest

from kinfold.local.service import Service
from ledger.runtime.aws import Clients
from ledger.store.event_store import EventStore
from ledger.store.tables import Names
from tests.support.accounts import deposit
from tests.support.aws.fault_proxy import FaultProxy
from tests.support.waiting import until

pytestmark = [pytest.mark.integration, pytest.mark.acceptance]


@pytest.fixture
def proxy(aws_endpoint: str, child_env: dict[str, str], bridge: None) -> Iterator[FaultProxy]:
    with FaultProxy(aws_endpoint) as proxy:
        child_env["AWS_ENDPOINT_URL"] = proxy.url
        yield proxy


def refused(answer: httpx.Response, what: str) -> None:
    assert answer.status_code == 503, answer.text
    assert answer.json()["type"] == "urn:kinfold:problem:aws-refuses"
    assert what in answer.json()["detail"]
    assert "123456789012" not in answer.text
    assert int(answer.headers["Retry-After"]) > 0


def test_the_writer_answers_with_what_is_not_allowed_and_goes_on_once_it_is(
    proxy: FaultProxy, start_service: Callable[..., Service], names: Names
) -> None:
    writer = start_service("writer", "serve")
    with httpx.Client(base_url=writer.url, timeout=30, trust_env=False) as client:
        money, key = {"amount": "1.00", "currency": "EUR"}, {"Idempotency-Key": "k"}
        proxy.deny("PutItem")
        refused(client.post("/accounts/alice/deposits", json=money), f"dynamodb:PutItem on table/{names.events}")
        proxy.deny("TransactWriteItems")
        refused(client.post("/accounts/alice/deposits", json=money, headers=key), "dynamodb:TransactWriteItems")
        proxy.deny("Query")
        what = f"dynamodb:Query on table/{names.events}"
        refused(client.get("/accounts/alice"), what)
        refused(client.get("/accounts/alice/events"), what)
        assert client.get("/ready").status_code == 503
        proxy.mend()
        assert client.post("/accounts/alice/deposits", json=money, headers=key).headers["ETag"] == '"1"'
    log = writer.log.read_text()
    assert "Traceback" not in log
    assert f"dynamodb:PutItem on table/{names.events}" in log


def test_the_projector_stops_and_names_it(
    proxy: FaultProxy, start_projector: Callable[..., Service], clients: Clients, names: Names
) -> None:
    projector = start_projector()
    proxy.deny("BatchExecuteStatement")
    deposit(EventStore(clients.dynamodb, names.events), "alice")
    until(lambda: projector.exit_code, lambda code: code is not None)
    assert projector.exit_code == 1
    last = projector.log.read_text().splitlines()[-1]
    assert "dynamodb:BatchExecuteStatement" in last


def test_the_projectors_queries_answer_with_what_is_not_allowed(
    proxy: FaultProxy, start_projector: Callable[..., Service]
) -> None:
    projector = start_projector()
    proxy.deny("GetItem")
    refused(httpx.get(f"{projector.url}/balances/alice", timeout=30, trust_env=False), "dynamodb:GetItem on table/")
    assert projector.exit_code is None


@pytest.mark.parametrize("operation", ["ListTables", "DescribeTable", "GetRecords", "ListShards"])
def test_a_start_stops_at_once_and_names_it(
    proxy: FaultProxy, start_projector: Callable[..., Service], operation: str
) -> None:
    proxy.deny(operation)
    projector = start_projector(ready=False)
    until(lambda: projector.exit_code, lambda code: code is not None)
    assert projector.exit_code == 1
    assert f":{operation}" in projector.log.read_text().splitlines()[-1]
