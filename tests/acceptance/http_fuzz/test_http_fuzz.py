"""The whole HTTP surface of writer, projector and watch, as processes: no request ends in a 500, a hang or a death.

``FUZZED_REQUESTS=20000 pytest tests/acceptance/http_fuzz`` sends so many in all.
"""

import json
import os
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import boto3
import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kinfold.demo.disposable import delete_profile, disposable_profile
from kinfold.local.stack import Stack
from ledger.runtime.aws import Clients
from ledger.runtime.settings import Settings
from ledger.store.tables import Names
from tests.acceptance.http_fuzz.exchange import Answer, exchange
from tests.acceptance.http_fuzz.requests import ROUTES, Request, requests
from tests.support.accounts import change_record, stored_event
from tests.support.waiting import until

pytestmark = [pytest.mark.acceptance, pytest.mark.integration]

#: 20,000 by hand, fewer in every run.
REQUESTS: Final = int(os.environ.get("FUZZED_REQUESTS", "1800"))
MONEY: Final = {"amount": "100.00", "currency": "EUR"}


@pytest.fixture(scope="module")
def stack(
    aws_endpoint: str, aws_session: boto3.session.Session, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack]:
    """The three services, open, with two accounts and a dead letter."""
    profile, logs = disposable_profile("test-"), tmp_path_factory.mktemp("logs")
    clients = Clients(Settings.model_validate({"profile": profile, "endpoint_url": aws_endpoint}), session=aws_session)
    try:
        with (
            Stack(aws_endpoint, profile=profile, log_dir=logs) as stack,
            httpx.Client(trust_env=False, timeout=30) as http,
        ):
            for account in ("alice", "bob"):
                assert http.post(f"{stack.writer.url}/accounts/{account}/deposits", json=MONEY).status_code == 201
            names = Names(profile)
            record = change_record(stored_event("mallory", 1), names.events).replace(b"INSERT", b"MODIFY")
            clients.kinesis.put_record(StreamName=names.stream, Data=record, PartitionKey="mallory")
            until(lambda: http.get(f"{stack.projector.url}/dead-letters").json()["deadLetters"])
            yield stack
    finally:
        delete_profile(clients, profile)


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", ROUTES)
def test_no_request_ends_in_a_500_a_hang_or_a_death(stack: Stack, name: str) -> None:
    service = {"writer": stack.writer, "projector": stack.projector, "watch": stack.bridge}[name]
    port, seen = urlsplit(service.url).port or 0, Counter[int]()

    @settings(
        max_examples=REQUESTS // len(ROUTES),
        # By hand others each time.
        derandomize="FUZZED_REQUESTS" not in os.environ,
        suppress_health_check=list(HealthCheck),
        print_blob=True,
    )
    @given(st.data())
    def send(data: st.DataObject) -> None:
        request = data.draw(requests(name))
        answer = exchange(port, request.raw, request.method)
        seen[answer.status] += 1
        judge(request, answer)

    send()
    sys.stdout.write(f"{name}: {sum(seen.values())} requests: {dict(sorted(seen.items()))}\n")
    service.check()
    assert httpx.get(f"{service.url}/health", trust_env=False, timeout=30).status_code == 200
    is_clean(service.log)
    sound = {200, 201} if name == "writer" else {200}
    assert {400, 404} | sound <= seen.keys(), "the requests were too wild, or too tame"


def judge(request: Request, answer: Answer) -> None:
    """What must hold of every answer."""
    # Without an answer, the connection was closed: what had come was no HTTP, or not all of a request.
    assert answer.status in {0, 503} or answer.status < 500 or answer.status in {501, 505}, (request, answer)
    if answer.status == 0:
        assert request.odd, request
        return
    if answer.status == 503:
        assert answer.headers["retry-after"]
    if answer.headers.get("content-type") == "application/problem+json" and answer.body:
        problem = json.loads(answer.body)
        assert problem["status"] == answer.status
        assert problem["correlationId"] == answer.headers["x-correlation-id"]
    if not request.odd and request.refusals:
        assert answer.status >= 400, (request, answer)
    assert request.method != "HEAD" or not answer.body


def is_clean(log: Path) -> None:
    """No request was met with what its service did not expect."""
    text = log.read_text(errors="replace")
    for sign in ("request_failed", "Exception in ASGI", "Unhandled exception", "Task exception was never"):
        assert sign not in text, text[max(0, text.find(sign) - 2000) : text.find(sign) + 6000]
