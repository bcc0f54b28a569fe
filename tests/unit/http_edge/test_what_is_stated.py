"""What a client states is evaluated or refused by every service, never passed over: of two readings none counts."""

import sys
from collections.abc import Callable
from typing import Any, Final

import pytest

from ledger.runtime import problems
from ledger.runtime.auth import Access
from tests.unit.http_edge.conftest import (
    ALL,
    CHALLENGE,
    Service,
    bridge,
    is_malformed,
    is_problem,
    projector,
    writer,
)

#: A service takes half a second to build, so a test asks one service for all of its cases.
CONDITIONS: Final = {
    "If-Match": "*",
    "If-None-Match": '"7"',
    "If-Modified-Since": "Sat, 29 Oct 1994 19:43:31 GMT",
    "If-Unmodified-Since": "Sat, 29 Oct 1994 19:43:31 GMT",
    "If-Range": '"7"',
    "Idempotency-Key": "k",
}
QUERIES: Final = {"x=1": "x", "from=": "from", "X%3D=1": "X=", "%": "query", "x=%zz": "query", "x=%ff": "query"}
PATHS: Final = ("/health%2F", "/%2e%2e/health", "/x%5Chealth", "/health%00", "/health%0a", "/%ff", "/%C0%AF")
ENCODINGS: Final = ("gzip", "compress", "identity, gzip", "GZIP")
FOREIGN_TYPES: Final = (
    "application/json; charset=latin-1",
    "application/json; charset=utf-16",
    "application/json; boundary=x",
)
BODIES: Final = {
    b'{"reason": "a", "reason": "b"}': "reason: is given twice",
    b'{"x": [{"y": 1, "y": 1}]}': "y: is given twice",
    b"\xff": "is not text in UTF-8",
    '{"reason": "a"}'.encode("utf-16"): "is not text in UTF-8",
    '{"reason": "a"}'.encode("utf-16-be"): "is not JSON",
    b'\xef\xbb\xbf{"reason": "a"}': "is not JSON",
    b'{"reason": NaN}': "is not JSON",
    # Python 3.14 reads any depth, and finds that it does not end.
    b"[" * 10_000: "cannot be read as JSON" if sys.version_info < (3, 14) else "is not JSON",
    b'{"reason": ' + b"9" * 5000 + b"}": "cannot be read as JSON",
    b"{": "is not JSON",
}
WITH_BODIES: Final = pytest.mark.parametrize(
    "service", [writer, projector], ids=lambda service: service.__name__, indirect=True
)


async def test_a_condition_or_key_that_is_not_evaluated_is_refused(service: Service) -> None:
    for field, value in CONDITIONS.items():
        is_malformed(await service.http.get("/health", headers={field: value}), field)


async def test_a_query_parameter_that_no_route_takes_is_refused(service: Service) -> None:
    for query, field in QUERIES.items():
        is_malformed(await service.http.get(f"/health?{query}"), field)
    assert (await service.http.get("/health?")).status_code == 200


async def test_a_path_of_two_readings_is_refused(service: Service) -> None:
    for path in PATHS:
        is_malformed(await service.http.get(path, headers=ALL), "path")


async def test_an_expectation_that_nobody_meets_is_refused(service: Service) -> None:
    for path in ("/health", "/nothing-here"):
        response = await service.http.get(path, headers=ALL | {"Expect": "200-ok"})
        is_problem(response, problems.EXPECTATION_FAILED)


async def test_an_encoding_that_nobody_reads_is_refused(service: Service) -> None:
    for encoding in ENCODINGS:
        headers = ALL | {"Content-Encoding": encoding, "Content-Type": "application/json"}
        response = await service.http.post(service.post or "/ready", content=b"{}", headers=headers)
        is_problem(response, problems.UNSUPPORTED_MEDIA_TYPE)
        assert response.headers["accept-encoding"] == "identity"


@WITH_BODIES
async def test_text_that_is_not_json_in_utf8_is_refused(service: Service) -> None:
    assert service.post
    for media_type in FOREIGN_TYPES:
        headers = ALL | {"Content-Type": media_type}
        response = await service.http.post(service.post, content=b"{}", headers=headers)
        is_problem(response, problems.UNSUPPORTED_MEDIA_TYPE)


@WITH_BODIES
async def test_of_two_media_types_none_counts(service: Service) -> None:
    """aiohttp refuses some lines itself, before anything of ours sees them."""
    assert service.post
    for second in ("text/plain", "application/json"):
        headers = [*ALL.items(), ("Content-Type", "application/json"), ("Content-Type", second)]
        response = await service.http.post(service.post, content=b"{}", headers=headers)
        assert response.status_code in {400, 415}


@WITH_BODIES
async def test_a_client_may_say_that_its_json_is_utf8(service: Service) -> None:
    assert service.post
    for media_type in ("application/json; charset=utf-8", 'Application/JSON;charset="UTF-8"'):
        headers = ALL | {"Content-Type": media_type}
        assert (await service.http.post(service.post, content=b"{}", headers=headers)).status_code == 400


@WITH_BODIES
async def test_a_body_that_two_readers_could_read_differently_is_refused(service: Service) -> None:
    assert service.post
    for content, words in BODIES.items():
        headers = ALL | {"Content-Type": "application/json"}
        response = await service.http.post(service.post, content=content, headers=headers)
        assert (response.status_code, response.json()["type"]) == (400, "urn:kinfold:problem:malformed-request")
        assert words in response.json()["detail"]


async def test_of_two_tokens_none_counts(service: Service) -> None:
    headers = [("Authorization", "Bearer kf_all"), ("Authorization", "Bearer kf_shop")]
    is_problem(
        await service.http.get("/metrics", headers=headers), problems.UNAUTHENTICATED, {"WWW-Authenticate": CHALLENGE}
    )


async def test_of_two_correlation_ids_none_counts(service: Service) -> None:
    headers = [("X-Correlation-ID", "one"), ("X-Correlation-ID", "two")]
    assert (await service.http.get("/health", headers=headers)).headers["x-correlation-id"] not in {"one", "two"}


@pytest.mark.parametrize("path", ["/health", "/nothing-here"])
async def test_head_is_get_without_the_content(service: Service, path: str) -> None:
    headers = ALL | {"X-Correlation-ID": "x"}
    get, head = await service.http.get(path, headers=headers), await service.http.head(path, headers=headers)
    assert (head.status_code, head.content) == (get.status_code, b"")
    differing = {"date"}
    assert {k: v for k, v in head.headers.items() if k not in differing} == {
        k: v for k, v in get.headers.items() if k not in differing
    }


async def test_a_wrong_method_is_told_of_head(service: Service) -> None:
    allowed = (await service.http.delete("/health", headers=ALL)).headers["allow"]
    assert {method.strip() for method in allowed.split(",")} == {"GET", "HEAD"}
    if service.post is not None:
        response = await service.http.head(service.post, headers=ALL)
        assert (response.status_code, response.headers["allow"]) == (405, "POST")


FOREIGN: Final = [
    {"Origin": "http://evil.example", "Host": "127.0.0.1:6066"},
    {"Origin": "null", "Host": "127.0.0.1:6066"},
    {"Origin": "http://127.0.0.1:9999", "Host": "127.0.0.1:6066"},
    {"Origin": "http://evil.example:6066", "Host": "evil.example:6066"},
    {"Origin": "http://localhost.evil.example", "Host": "localhost.evil.example"},
    {"Sec-Fetch-Site": "cross-site", "Host": "localhost:6066"},
    {"Sec-Fetch-Site": "same-site", "Host": "localhost:6066"},
    {"Sec-Fetch-Site": "same-origin", "Host": "evil.example"},
]
OURS: Final = [
    {},
    {"Host": "writer.internal:8080"},
    {"Origin": "http://127.0.0.1:6066", "Host": "127.0.0.1:6066", "Sec-Fetch-Site": "same-origin"},
    {"Origin": "https://[::1]:6066", "Host": "[::1]:6066"},
    {"Origin": "http://localhost", "Host": "LOCALHOST"},
]


@pytest.mark.parametrize("kind", [writer, projector, bridge], ids=lambda kind: kind.__name__)
async def test_an_open_service_takes_no_change_from_a_page_of_another_origin(kind: Callable[..., Any]) -> None:
    async with kind(Access(None)) as service:
        for headers in FOREIGN:
            is_problem(await service.http.post(service.post or "/ready", headers=headers), problems.CROSS_ORIGIN)
            assert (await service.http.get("/health", headers=headers)).status_code == 200
        for headers in OURS:
            assert (await service.http.post(service.post or "/ready", headers=headers)).status_code in {400, 405, 415}


async def test_a_token_is_proof_enough_since_no_browser_sends_it_unasked(service: Service) -> None:
    for headers in FOREIGN:
        response = await service.http.post(service.post or "/ready", headers=ALL | headers)
        assert response.status_code in {400, 405, 415}
