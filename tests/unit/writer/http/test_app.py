"""The API's edges on a store in memory: failures on cue, busy threads, headers, metrics, the document."""

import asyncio
import threading
from collections.abc import MutableMapping
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from betting import RESOURCES
from betting.resources import ACCOUNTS
from ledger.errors import AccessRefusedError, ConfigurationError, EndpointError, ResourceError, ThrottledError
from ledger.runtime.auth import Access
from ledger.store.idempotency_keys import IdempotencyKeys
from tests.unit.writer.conftest import MemoryStore
from writer.commands.aggregate_repository import AggregateRepository
from writer.http.app import build_api
from writer.metrics import Metrics
from writer.settings import WriterSettings

DEPOSIT = {"amount": "5.00", "currency": "EUR"}


def is_problem(response: httpx.Response, status: int, name: str) -> dict[str, Any]:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = response.json()
    assert (body["status"], body["type"]) == (status, f"urn:kinfold:problem:{name}")
    assert body["title"]
    assert body["detail"]
    assert body["correlationId"] == response.headers["x-correlation-id"]
    return body


def failing(failure: Exception) -> Any:
    def fail() -> None:
        raise failure

    return fail


async def test_conflicts_without_end_are_409_with_the_actual_version(
    http: httpx.AsyncClient, store: MemoryStore, opened: str
) -> None:
    store.others_are_faster(1000)
    response = await http.post("/accounts/alice/deposits", json=DEPOSIT)
    body = is_problem(response, 409, "version-conflict")
    assert (body["expectedVersion"], body["actualVersion"]) == (4, 5)
    metrics = (await http.get("/metrics")).text
    assert "kinfold_writer_conflicts_total 4.0" in metrics
    assert "kinfold_writer_conflict_retries_total 3.0" in metrics
    assert 'kinfold_writer_commands_total{command="deposit",outcome="conflict"} 1.0' in metrics
    assert 'kinfold_writer_responses_total{status="409"} 1.0' in metrics


async def test_a_race_lost_under_if_match_is_412(http: httpx.AsyncClient, store: MemoryStore, opened: str) -> None:
    store.others_are_faster(1)
    response = await http.post("/accounts/alice/deposits", json=DEPOSIT, headers={"If-Match": '"1"'})
    body = is_problem(response, 412, "precondition-failed")
    assert (body["expectedVersion"], body["actualVersion"]) == (1, 2)


async def test_a_command_for_a_new_account_alone_opens_it_once(http: httpx.AsyncClient, store: MemoryStore) -> None:
    only_new = {"If-None-Match": "*"}
    first = await http.post("/accounts/bob/deposits", json=DEPOSIT, headers=only_new)
    assert (first.status_code, first.headers["etag"]) == (201, '"1"')
    body = is_problem(
        await http.post("/accounts/bob/deposits", json=DEPOSIT, headers=only_new), 412, "precondition-failed"
    )
    assert (body["actualVersion"], len(store.stored["bob"])) == (1, 1)
    store.others_are_faster(1, "eve")
    body = is_problem(
        await http.post("/accounts/eve/deposits", json=DEPOSIT, headers=only_new), 412, "precondition-failed"
    )
    assert body["actualVersion"] == 1


async def test_a_repeat_gets_its_answer_whatever_its_condition_says_by_now(
    http: httpx.AsyncClient, store: MemoryStore
) -> None:
    headers = {"If-None-Match": "*", "Idempotency-Key": "k"}
    answers = [await http.post("/accounts/bob/deposits", json=DEPOSIT, headers=headers) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert len(store.stored["bob"]) == 1


async def test_a_read_evaluates_its_conditions(http: httpx.AsyncClient, opened: str) -> None:
    async def status(*lines: tuple[str, str]) -> int:
        return (await http.get("/accounts/alice", headers=list(lines))).status_code

    assert await status(("If-None-Match", '"1"')) == 304
    assert await status(("If-None-Match", '"7"'), ("If-None-Match", '"1"')) == 304
    assert await status(("If-None-Match", '"7"')) == 200
    assert await status(("If-None-Match", "1")) == 400
    assert await status(("If-Match", '"1"')) == 200
    assert await status(("If-Match", '"7"'), ("If-Match", '"1"')) == 200
    assert await status(("If-Match", '"7"')) == 412
    assert await status(("Idempotency-Key", "k")) == 400


async def test_no_route_takes_what_it_does_not_declare(http: httpx.AsyncClient, api: FastAPI) -> None:
    for path, operations in api.openapi()["paths"].items():
        for method in operations:
            url = path.format(accountId="alice", betId="derby")
            body = is_problem(await http.request(method, f"{url}?nobody-knows=1"), 400, "malformed-request")
            assert body["errors"][0]["field"] == "nobody-knows", url
            body = is_problem(await http.request(method, url, headers={"If-Range": "x"}), 400, "malformed-request")
            assert body["errors"][0]["field"] == "If-Range", url


@pytest.mark.parametrize("path", ["/docs", "/openapi.json"])
async def test_the_document_takes_nothing_either(http: httpx.AsyncClient, path: str) -> None:
    page = await http.get(path)
    assert (page.status_code, "openapi" in page.text) == (200, True)
    is_problem(await http.get(f"{path}?nobody-knows=1"), 400, "malformed-request")
    for field in ("If-None-Match", "Idempotency-Key"):
        is_problem(await http.get(path, headers={field: "*"}), 400, "malformed-request")


@pytest.mark.parametrize("query", ["version=1&version=1", "version=1&limit=3", "versoin=1", "at=&at="])
async def test_a_query_that_is_not_read_whole_is_refused(http: httpx.AsyncClient, opened: str, query: str) -> None:
    is_problem(await http.get(f"/accounts/alice?{query}"), 400, "malformed-request")


@pytest.mark.parametrize("path", ["/accounts/alice", "/accounts/alice/events?limit=1", "/ready", "/metrics", "/docs"])
async def test_head_works_wherever_get_does(http: httpx.AsyncClient, opened: str, path: str) -> None:
    head, get = await http.head(path), await http.get(path)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers.get("etag") == get.headers.get("etag")
    assert head.headers["content-type"] == get.headers["content-type"]


@pytest.mark.parametrize("failure", [ThrottledError("at http://secret"), EndpointError("at http://secret")])
async def test_a_transient_failure_is_503_with_retry_after(
    http: httpx.AsyncClient, store: MemoryStore, failure: Exception
) -> None:
    store.before_append = failing(failure)
    response = await http.post("/accounts/alice/deposits", json=DEPOSIT)
    body = is_problem(response, 503, "unavailable")
    assert int(response.headers["retry-after"]) > 0
    assert "carried out or not" in body["detail"]
    assert "secret" not in response.text


@pytest.mark.parametrize(
    ("failure", "problem"),
    [
        (ResourceError("secret"), "unusable-resource"),
        (ConfigurationError("secret"), "unusable-resource"),
        (AccessRefusedError("secret", "dynamodb:Query on table/events"), "aws-refuses"),
    ],
)
async def test_what_the_operator_has_to_mend_is_503_and_named_in_the_log(
    http: httpx.AsyncClient,
    store: MemoryStore,
    failure: Exception,
    problem: str,
    log_lines: list[MutableMapping[str, Any]],
) -> None:
    store.before_read = failing(failure)
    for response in (await http.get("/accounts/alice"), await http.post("/accounts/alice/deposits", json=DEPOSIT)):
        body = is_problem(response, 503, problem)
        assert int(response.headers["retry-after"]) > 0
        assert ("dynamodb:Query on table/events" in body["detail"]) == isinstance(failure, AccessRefusedError)
        assert "secret" not in response.text
    assert [line["reason"] for line in log_lines if line["event"] == "resource_unusable"] == ["secret"] * 2


@pytest.mark.parametrize("failure", [RuntimeError("secret"), KeyError("secret")])
async def test_the_unexpected_is_500_without_our_insides(
    http: httpx.AsyncClient, store: MemoryStore, failure: Exception, log_lines: list[MutableMapping[str, Any]]
) -> None:
    store.before_read = failing(failure)
    for response in (await http.get("/accounts/alice"), await http.post("/accounts/alice/deposits", json=DEPOSIT)):
        is_problem(response, 500, "internal-error")
        assert "secret" not in response.text
        assert type(failure).__name__ not in response.text
        correlation_id = response.headers["x-correlation-id"]
        [cause] = [line for line in log_lines if line["correlation_id"] == correlation_id and line.get("exc_info")]
        assert cause["event"] == "request_failed"


async def test_readiness_follows_the_events_table(http: httpx.AsyncClient, store: MemoryStore) -> None:
    assert (await http.get("/ready")).json() == {"status": "ready"}
    store.before_read = failing(ResourceError("secret"))
    response = await http.get("/ready")
    is_problem(response, 503, "not-ready")
    assert "secret" not in response.text
    assert (await http.get("/health")).status_code == 200


async def test_operations_answer_while_every_thread_is_busy(
    http: httpx.AsyncClient, store: MemoryStore, settings: WriterSettings
) -> None:
    release, busy = threading.Event(), threading.Semaphore(0)

    def block() -> None:
        busy.release()
        release.wait(20)

    store.before_append = block
    blocked = [
        asyncio.create_task(http.post(f"/accounts/a{n}/deposits", json=DEPOSIT))
        for n in range(settings.writer_threads + 2)
    ]
    try:
        for _ in range(settings.writer_threads):
            assert await asyncio.to_thread(busy.acquire, timeout=10)
        async with asyncio.timeout(5):
            for path in ("/health", "/ready", "/metrics"):
                assert (await http.get(path)).status_code == 200
            is_problem(await http.get("/nothing"), 404, "unknown-path")
        assert not busy.acquire(blocking=False), "more commands under way than there are threads"
    finally:
        release.set()
    assert {response.status_code for response in await asyncio.gather(*blocked)} == {201}


@pytest.mark.parametrize("given", ["order-4711", "a" * 128])
async def test_a_correlation_id_is_kept(http: httpx.AsyncClient, store: MemoryStore, given: str) -> None:
    response = await http.post("/accounts/alice/deposits", json=DEPOSIT, headers={"X-Correlation-ID": given})
    assert response.headers["x-correlation-id"] == given
    assert store.stored["alice"][0].correlation_id == given


@pytest.mark.parametrize("given", [None, "", "a b", "a" * 129, 'forged" level=info'])
async def test_a_correlation_id_is_made_when_none_can_be_kept(
    http: httpx.AsyncClient, store: MemoryStore, given: str | None
) -> None:
    headers = {} if given is None else {"X-Correlation-ID": given}
    response = await http.post("/accounts/alice/deposits", json=DEPOSIT, headers=headers)
    made = response.headers["x-correlation-id"]
    assert made not in (given, "")
    assert store.stored["alice"][0].correlation_id == made


async def test_apps_do_not_share_their_metrics(
    http: httpx.AsyncClient, accounts: AggregateRepository, keys: IdempotencyKeys, settings: WriterSettings
) -> None:
    await http.post("/accounts/alice/deposits", json=DEPOSIT)
    other = build_api(RESOURCES, accounts, keys, settings, Access(None), Metrics())
    async with httpx.AsyncClient(transport=httpx.ASGITransport(other), base_url="http://other") as client:
        told = (await client.get("/metrics")).text
    assert 'kinfold_writer_commands_total{command="deposit",outcome="accepted"} 0.0' in told


def test_the_document_declares_our_problems_and_no_foreign_ones(api: FastAPI) -> None:
    document = api.openapi()
    assert "HTTPValidationError" not in str(document)
    problem = {"$ref": "#/components/schemas/Problem"}
    assert {"Problem", "FieldFault", "AccountAccepted", "AccountState", "AccountEvents", "Deposit"} <= set(
        document["components"]["schemas"]
    )
    for command in ACCOUNTS.commands:
        operation = document["paths"][f"/accounts/{{accountId}}{command.path}"]["post"]
        examples = operation["responses"]["422"]["content"]["application/problem+json"]["examples"]
        assert examples.keys() == {"idempotency-key-reused", *(refusal.rule for refusal in command.refusals)}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            assert operation["summary"], path
            declared = {int(status) for status in operation["responses"]}
            if method == "post":
                assert declared == {201, 400, 401, 403, 408, 409, 412, 413, 415, 422, 431, 500, 503}, path
            for status in declared - {200, 201, 304}:
                content = operation["responses"][str(status)]["content"]
                assert list(content) == ["application/problem+json"], (path, status)
                assert content["application/problem+json"]["schema"] == problem, (path, status)
                assert content["application/problem+json"]["examples"], (path, status)


def test_every_reference_of_the_document_resolves(api: FastAPI) -> None:
    document = api.openapi()

    def references(node: Any) -> list[str]:
        if isinstance(node, dict):
            return [v for k, v in node.items() if k == "$ref"] + [r for v in node.values() for r in references(v)]
        return [r for v in node for r in references(v)] if isinstance(node, list) else []

    for reference in references(document):
        assert reference.removeprefix("#/components/schemas/") in document["components"]["schemas"]
