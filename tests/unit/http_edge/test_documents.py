"""Each service describes itself: by an OpenAPI document that is true, and a page that shows it and asks nobody else."""

import re
from typing import Any
from urllib.parse import urljoin, urlsplit

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from ledger.runtime import problems
from ledger.runtime.auth import OPEN_PATHS, Scope
from ledger.runtime.openapi.docs_page import CHUNK, PATHS
from ledger.runtime.problems import SECURITY_HEADERS
from tests.unit.http_edge.conftest import (
    ALL,
    CHALLENGE,
    CREDENTIALS,
    Service,
    carries_the_headers_of_every_response,
    is_problem,
    projector,
)

DEMANDED = re.compile(r"""(?:src|href|url|action)\s*[=:]\s*["']([^"']*)["']|url\(["']?([^"')]+)""")


async def document_of(service: Service) -> dict[str, Any]:
    answer = await service.http.get("/openapi.json")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    carries_the_headers_of_every_response(answer)
    body: dict[str, Any] = answer.json()
    return body


async def test_the_document_is_valid_and_needs_no_token(service: Service) -> None:
    document = await document_of(service)
    OpenAPIV31SpecValidator(document).validate()
    assert document["openapi"].startswith("3.1")


async def test_the_document_has_every_route_and_no_other(service: Service) -> None:
    document = await document_of(service)
    described = {(method.upper(), path) for path, found in document["paths"].items() for method in found}
    served = {each for each in service.routes if each[0] != "HEAD" and each[1] not in PATHS}
    assert described == served
    assert {path for _, path in service.routes} >= PATHS
    assert ("GET", "/health") in described


async def test_each_operation_says_which_token_it_needs_and_how_it_fails(service: Service) -> None:
    document = await document_of(service)
    assert document["components"]["securitySchemes"]["token"]["scheme"] == "bearer"
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            assert operation["summary"], path
            assert ("security" in operation) == (path not in OPEN_PATHS)
            named = [scope for scope in Scope if f"`{scope}`" in operation.get("description", "")]
            assert len(named) == (path not in OPEN_PATHS), (method, path)
            for status, response in operation["responses"].items():
                assert "X-Correlation-ID" in response["headers"]
                if int(status) >= 400:
                    [(media_type, content)] = response["content"].items()
                    assert media_type == "application/problem+json"
                    for example in content["examples"].values():
                        assert example["value"]["status"] == int(status)


async def test_no_operation_lets_one_in_without_the_scope_that_the_document_names(service: Service) -> None:
    tokens = {"kf_operate": {Scope.OPERATE}, "kf_shop": {Scope.READ, Scope.WRITE}}
    document = await document_of(service)
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            url = re.sub(r"\{\w+\}", "x", path)
            if "security" not in operation:
                assert (await service.http.request(method, url)).status_code == 200
                continue
            is_problem(
                await service.http.request(method, url), problems.UNAUTHENTICATED, {"WWW-Authenticate": CHALLENGE}
            )
            [needed] = [scope for scope in Scope if f"`{scope}`" in operation["description"]]
            for token in (token for token, scopes in tokens.items() if needed not in scopes):
                answer = await service.http.request(method, url, headers={"Authorization": f"Bearer {token}"})
                assert answer.status_code == 403, (method, path, token)


async def test_the_page_and_all_that_it_asks_for_come_from_the_service_itself(service: Service) -> None:
    """And anybody may open them: a browser that follows an address sends no token."""
    asked, found = {"/docs"}, dict[str, str]()
    while waiting := asked - found.keys():
        path = waiting.pop()
        answer = await service.http.get(path)
        assert answer.status_code == 200, path
        assert int(answer.headers["content-length"]) == len(answer.content)
        found[path] = answer.text
        if not path.endswith("bundle.js"):  # what it asks for, its settings say
            demanded = {one or other for one, other in DEMANDED.findall(answer.text)} - {""}
            for each in {each for each in demanded if not each.startswith(("data:", "#"))}:
                # A script's addresses are those of the page that runs it.
                url = urlsplit(urljoin(f"http://service{path if path.endswith('.css') else '/docs'}", each))
                assert url.netloc == "service", each
                asked.add(url.path)
    assert found.keys() == PATHS
    assert "validatorUrl: null" in found["/docs/start.js"]
    assert len(found["/docs/swagger-ui-bundle.js"]) > 10 * CHUNK


async def test_the_page_may_run_nothing_but_what_the_service_serves(service: Service) -> None:
    page = await service.http.get("/docs")
    policy = dict(each.strip().split(" ", 1) for each in page.headers["content-security-policy"].split(";"))
    assert policy.pop("img-src") == "'self' data:"
    assert {name: policy.pop(name) for name in ("script-src", "style-src", "connect-src")} == dict.fromkeys(
        ("script-src", "style-src", "connect-src"), "'self'"
    )
    assert set(policy) == {"default-src", "base-uri", "form-action", "frame-ancestors"}
    assert set(policy.values()) == {"'none'"}
    others = SECURITY_HEADERS.keys() - {"Content-Security-Policy"}
    assert {name: page.headers[name] for name in others} == {name: SECURITY_HEADERS[name] for name in others}
    assert "<style" not in page.text
    assert " style=" not in page.text
    assert re.findall(r"<script(?! src=)|\son\w+=", page.text) == []


async def test_what_needs_no_token_tells_nothing_of_whoever_runs_the_service(service: Service) -> None:
    secrets = ["unit", "127.0.0.1", "us-east-1", *(each.digest.hex() for each in CREDENTIALS), "kf_"]
    for path in PATHS - {"/docs/swagger-ui-bundle.js", "/docs/swagger-ui.css"}:
        text = (await service.http.get(path)).text
        assert [each for each in secrets if each in text] == [], path


async def test_the_documentation_takes_nothing_and_only_reads(service: Service) -> None:
    for path in PATHS:
        head, get = await service.http.head(path), await service.http.get(path)
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-type"] == get.headers["content-type"]
        is_problem(await service.http.post(path, headers=ALL), problems.METHOD_NOT_ALLOWED)
        assert (await service.http.get(f"{path}?url=https://evil.example")).status_code == 400
        assert (await service.http.get(path, headers={"If-None-Match": "*"})).status_code == 400


@pytest.mark.parametrize("service", [projector], ids=lambda service: service.__name__, indirect=True)
async def test_what_shows_aggregates_is_for_the_scope_read_and_all_else_the_operators(service: Service) -> None:
    for path, readers in (("/balances", True), ("/activity", True), ("/balances/alice", True), ("/balances-x", False)):
        shop = await service.http.get(path, headers={"Authorization": "Bearer kf_shop"})
        operator = await service.http.get(path, headers={"Authorization": "Bearer kf_operate"})
        assert ((shop.status_code == 403), (operator.status_code == 403)) == (not readers, readers), path
