"""The HTTP edge is one: writer, projector and bridge answer the same bad request alike, and name each request alike."""

from collections.abc import MutableMapping
from typing import Any

import pytest

from ledger.runtime import problems
from ledger.runtime.problems import ProblemType
from tests.unit.http_edge.conftest import (
    ALL,
    CHALLENGE,
    SECRET,
    Service,
    carries_the_headers_of_every_response,
    is_problem,
    projector,
    writer,
)


@pytest.mark.parametrize(
    "headers",
    [{}, {"Authorization": f"Bearer {SECRET}"}, {"Authorization": "Basic x"}],
    ids=["none", "unknown", "basic"],
)
@pytest.mark.parametrize("path", ["/ready", "/metrics", "/nothing-here"])
async def test_a_stranger_is_challenged(
    service: Service, path: str, headers: dict[str, str], log_lines: list[MutableMapping[str, Any]]
) -> None:
    response = await service.http.get(path, headers=headers)
    is_problem(response, problems.UNAUTHENTICATED, {"WWW-Authenticate": CHALLENGE})
    assert SECRET not in response.text + str(log_lines)


async def test_a_token_without_the_scope_is_told_which(
    service: Service, log_lines: list[MutableMapping[str, Any]]
) -> None:
    response = await service.http.get("/metrics", headers={"Authorization": "Bearer kf_shop"})
    challenge = f'{CHALLENGE}, error="insufficient_scope", scope="operate"'
    is_problem(response, problems.MISSING_SCOPE, {"WWW-Authenticate": challenge})
    [line] = [line for line in log_lines if line["event"] == "missing_scope"]
    assert (line["client"], line["scope"]) == ("shop", "operate")
    assert line["correlation_id"] == response.headers["x-correlation-id"]


async def test_an_unknown_path(service: Service) -> None:
    is_problem(await service.http.get("/nothing-here", headers=ALL), problems.UNKNOWN_PATH)


async def test_a_wrong_method_is_told_the_right_ones(service: Service) -> None:
    response = await service.http.delete("/ready", headers=ALL)
    is_problem(response, problems.METHOD_NOT_ALLOWED)
    assert "GET" in response.headers["allow"]
    assert "DELETE" not in response.headers["allow"]


@pytest.mark.parametrize("media_type", ["text/plain", "application/x-www-form-urlencoded", "application/jsonx", ""])
async def test_a_post_that_is_no_json_is_refused(service: Service, media_type: str) -> None:
    if service.post is None:
        response = await service.http.post("/ready", content=b"{}", headers=ALL | {"Content-Type": media_type})
        is_problem(response, problems.METHOD_NOT_ALLOWED)
        return
    response = await service.http.post(service.post, content=b"{}", headers=ALL | {"Content-Type": media_type})
    is_problem(response, problems.UNSUPPORTED_MEDIA_TYPE)


@pytest.mark.parametrize("service", [writer, projector], ids=lambda service: service.__name__, indirect=True)
async def test_a_body_that_is_too_large_is_refused(service: Service) -> None:
    assert service.post
    response = await service.http.post(service.post, json={"reason": "x" * 100_000}, headers=ALL)
    is_problem(response, problems.BODY_TOO_LARGE)


async def test_a_post_to_the_projector_without_a_body_needs_no_media_type() -> None:
    async with projector() as service:
        assert service.post
        is_problem(await service.http.post(service.post, headers=ALL), problems.BAD_BODY)


async def test_a_failing_handler_shows_nothing_of_our_insides_and_logs_the_cause_under_the_id(
    service: Service, log_lines: list[MutableMapping[str, Any]]
) -> None:
    response = await service.http.get(service.failing, headers=ALL)
    is_problem(response, problems.INTERNAL_ERROR)
    [line] = [line for line in log_lines if line["event"] == "request_failed"]
    assert line["correlation_id"] == response.headers["x-correlation-id"]
    assert (line["path"], line["exc_info"]) == (service.failing, True)


@pytest.mark.parametrize("path", ["/health", "/nothing-here"])
@pytest.mark.parametrize("given", ["order-4711", "a" * 128, "A.b_c:d-e"])
async def test_a_correlation_id_is_echoed(service: Service, path: str, given: str) -> None:
    response = await service.http.get(path, headers={"X-Correlation-ID": given})
    assert response.headers.get_list("x-correlation-id") == [given]
    carries_the_headers_of_every_response(response)


@pytest.mark.parametrize("given", [None, "", "-a", "a b", "a" * 129, 'forged" level=info', "a{b}"])
async def test_one_that_could_forge_a_log_line_is_replaced(service: Service, given: str | None) -> None:
    response = await service.http.get("/health", headers={} if given is None else {"X-Correlation-ID": given})
    assert response.status_code == 200
    assert response.headers["x-correlation-id"] not in (given, "")


def test_each_problem_is_in_the_catalogue_once() -> None:
    catalogue = [value for value in vars(problems).values() if isinstance(value, ProblemType)]
    assert len({kind.name for kind in catalogue}) == len(catalogue) > 20
    for kind in catalogue:
        assert kind.example() == kind.of(**kind.members).body("order-4711")
        assert ("Retry-After" in kind.of().headers) == (kind.status == 503)
