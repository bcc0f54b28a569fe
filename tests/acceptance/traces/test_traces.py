"""The traces of a whole run, as a collector gets them: from a client's POST to the rows."""

import json
import re
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from kinfold.demo.disposable import disposable_profile
from kinfold.local.stack import Stack
from ledger.runtime.aws import Clients
from ledger.store.event_store import EventStore
from ledger.store.tables import Names
from tests.acceptance.traces import collector
from tests.acceptance.traces.collector import CLIENT, CONSUMER, SERVER, Collector, Span
from tests.support.accounts import poison
from tests.support.waiting import until

pytestmark = [pytest.mark.acceptance, pytest.mark.integration]

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
TRACEPARENT = f"00-{TRACE}-{PARENT}-01"


@pytest.fixture(scope="module")
def collected() -> Iterator[Collector]:
    with collector.running() as running:
        yield running


@pytest.fixture(scope="module")
def profile() -> str:
    return disposable_profile("test-")


@pytest.fixture(scope="module")
def traced(
    aws_endpoint: str, profile: str, tmp_path_factory: pytest.TempPathFactory, collected: Collector
) -> Iterator[Stack]:
    logs = tmp_path_factory.mktemp("logs")
    env = {"KINFOLD_TRACES_URL": collected.url, "KINFOLD_LOG_FORMAT": "json"}
    with Stack(aws_endpoint, profile=profile, shards=2, log_dir=logs, env=env) as stack:
        yield stack


def deposit(stack: Stack, account: str, **headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    url = f"{stack.writer.url}/accounts/{account}/deposits"
    answer = httpx.post(url, json={"amount": "5.00", "currency": "EUR"}, headers=named, trust_env=False, timeout=60)
    assert answer.status_code == 201, answer.text
    return answer


def of_trace(collected: Collector, trace_id: str, applied: int = 2) -> dict[str, list[Span]]:
    """The spans of a trace by name, once the event is applied to both read models."""

    def found() -> dict[str, list[Span]]:
        spans = [span for span in collected.spans if span.trace_id == trace_id]
        return {name: [each for each in spans if each.name == name] for name in sorted({span.name for span in spans})}

    return until(
        found, lambda spans: len(spans.get("apply event", ())) >= applied and any(name[:4] == "POST" for name in spans)
    )


def test_one_trace_leads_from_a_clients_post_over_the_append_and_the_batch_to_the_rows(
    traced: Stack, collected: Collector
) -> None:
    answer = deposit(traced, "alice", traceparent=TRACEPARENT)

    spans = of_trace(collected, TRACE)

    assert list(spans) == ["POST /accounts/{accountId}/deposits", "append", "apply event"]
    (request,), (append,) = spans["POST /accounts/{accountId}/deposits"], spans["append"]
    assert (request.service, request.kind, request.parent_id) == ("kinfold-writer", SERVER, PARENT)
    assert request.attributes["http.response.status_code"] == 201
    # The correlation id is what carries the trace, so that answers, log lines and the stored event all name it.
    assert answer.headers["X-Correlation-ID"] == f"00-{TRACE}-{request.span_id}-01"
    events = httpx.get(f"{traced.writer.url}/accounts/alice/events", trust_env=False, timeout=60).json()["events"]
    assert [event["correlationId"] for event in events] == [answer.headers["X-Correlation-ID"]]
    assert (append.kind, append.parent_id) == (CLIENT, request.span_id)
    assert append.attributes["kinfold.aggregate"] == "alice"

    applied = spans["apply event"]
    assert {(each.service, each.kind, each.parent_id) for each in applied} == {
        ("kinfold-projector", CONSUMER, request.span_id)
    }
    tables = {each.attributes["db.collection.name"].partition("-")[0] for each in applied}
    assert tables == {"balance", "daily"}
    assert [each.attributes["kinfold.row_version"] for each in applied] == [1, 1]
    batch = until(
        lambda: [span for span in collected.spans if [(span.trace_id, span.span_id)] == applied[0].links], bool
    )
    assert [(each.name, each.kind, each.links) for each in batch] == [
        ("apply batch", CONSUMER, [(TRACE, request.span_id)])
    ]
    assert batch[0].trace_id != TRACE, "a batch serves many, so it is in the trace of none"


def test_a_clients_own_correlation_id_stands_for_a_trace_and_is_kept(traced: Stack, collected: Collector) -> None:
    assert deposit(traced, "bob", x_correlation_id="order-4711").headers["X-Correlation-ID"] == "order-4711"

    (trace,) = until(
        lambda: {span.trace_id for span in collected.spans if span.attributes.get("kinfold.aggregate") == "bob"}, bool
    )
    spans = of_trace(collected, trace)

    assert list(spans) == ["POST /accounts/{accountId}/deposits", "append", "apply event"]
    assert {each.attributes["kinfold.correlation_id"] for each in spans["apply event"]} == {"order-4711"}


def test_a_client_with_a_trace_and_an_own_correlation_id_finds_the_rows_by_a_link(
    traced: Stack, collected: Collector
) -> None:
    trace = "c" * 32
    deposit(traced, "carol", traceparent=f"00-{trace}-{PARENT}-01", x_correlation_id="order-1")

    (append,) = until(
        lambda: [span for span in collected.spans if span.name == "append" and span.trace_id == trace], bool
    )
    ((elsewhere, _),) = append.links
    applied = until(
        lambda: [span for span in collected.spans if span.trace_id == elsewhere], lambda found: len(found) == 2
    )

    assert {span.name for span in applied} == {"apply event"}


def test_an_append_and_a_batch_that_serve_many_are_linked_with_each(traced: Stack, collected: Collector) -> None:
    with ThreadPoolExecutor(16) as clients:
        answers = list(clients.map(lambda _: deposit(traced, "dora"), range(64)))
    named = [re.fullmatch(r"00-(\w{32})-(\w{16})-0[13]", answer.headers["X-Correlation-ID"]) for answer in answers]
    requests = {(found[1], found[2]) for found in named if found is not None}
    assert len(requests) == 64, "each has a trace of its own"

    def of_requests(name: str) -> list[Span]:
        return [span for span in collected.spans if span.name == name and (span.trace_id, span.parent_id) in requests]

    appends = until(lambda: of_requests("append"), lambda found: len(found) >= 64)
    applied = until(lambda: of_requests("apply event"), lambda found: len(found) >= 128)

    together = [span for span in appends if span.attributes["kinfold.commands_together"] > 1]
    assert together, "16 clients of one account, and none waited for another"
    for span in together:
        others = span.attributes["kinfold.commands_together"] - 1
        first = len(span.links) == others and set(span.links) <= requests
        assert first or [span.links[0] in {(each.trace_id, each.span_id) for each in together}] == [True]
    batches = {link for span in applied for link in span.links}
    linked = until(
        lambda: [span for span in collected.spans if (span.trace_id, span.span_id) in batches],
        lambda found: len(found) == len(batches),
    )
    assert {link for span in linked for link in span.links} == requests


def test_what_cannot_be_applied_ends_in_error_and_is_told_with_its_correlation_id(
    traced: Stack, collected: Collector, clients: Clients, names: Names
) -> None:
    first = deposit(traced, "mallory", x_correlation_id="before")
    assert first.json()["version"] == 1
    bad = poison(clients.dynamodb, names.events, EventStore(clients.dynamodb, names.events).load("mallory").events[0])

    def failed() -> list[Span]:
        return [span for span in collected.spans if span.name == "apply event" and span.failed]

    spans = until(failed, lambda found: len(found) == 2)
    assert {each.attributes["kinfold.sequence_number"] for each in spans} == {bad.sequence_number}
    assert not any("kinfold.row_version" in each.attributes for each in spans)
    letters = httpx.get(f"{traced.projector.url}/dead-letters", trust_env=False, timeout=60).json()["deadLetters"]
    assert [each["correlationId"] for each in letters] == [bad.correlation_id] * 2
    lines = [json.loads(line) for line in traced.projector.log.read_text().splitlines()]
    told = [line for line in lines if line["event"] in {"dead_letter", "aggregate_halted"}]
    assert [line["correlation_id"] for line in told] == [bad.correlation_id] * 4


def test_without_a_collector_services_do_what_they_do_and_stop_at_once(aws_endpoint: str, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/v1/traces"
        with Stack(
            aws_endpoint, profile=disposable_profile("test-"), log_dir=tmp_path, env={"KINFOLD_TRACES_URL": url}
        ) as stack:
            deposit(stack, "erin")
            balance = f"{stack.projector.url}/balances/erin?min_version=1"
            assert httpx.get(balance, trust_env=False, timeout=60).json()["version"] == 1
            writer, projector = stack.writer, stack.projector
    assert [writer.exit_code, projector.exit_code] == [0, 0]
