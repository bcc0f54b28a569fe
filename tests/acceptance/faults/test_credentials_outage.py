"""Whoever gives a role's credentials fails for a while: services wait, before and after their start, and go on."""

from collections.abc import Callable, Iterator

import httpx
import pytest

from kinfold.local.service import Service
from ledger.runtime.aws import Clients
from ledger.store.tables import Names
from tests.support.aws.credentials_endpoint import CredentialsEndpoint
from tests.support.waiting import until

pytestmark = [pytest.mark.integration, pytest.mark.acceptance]

EXPIRED = b'{"AccessKeyId":"a","SecretAccessKey":"s","Token":"t","Expiration":"2020-01-01T00:00:00Z"}'


@pytest.fixture
def credentials(child_env: dict[str, str], request: pytest.FixtureRequest) -> Iterator[CredentialsEndpoint]:
    """The only credentials that the services have: those of a container, or of an instance of EC2."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        child_env.pop(name, None)
    with CredentialsEndpoint() as endpoint:
        if getattr(request, "param", "container") == "instance":
            child_env |= {"AWS_EC2_METADATA_SERVICE_ENDPOINT": endpoint.url, "AWS_EC2_METADATA_DISABLED": "false"}
        else:
            child_env |= endpoint.environment | {"AWS_EC2_METADATA_DISABLED": "true"}
        yield endpoint


def deposit(writer: Service, account: str) -> httpx.Response:
    body = {"amount": "1.00", "currency": "EUR"}
    return httpx.post(f"{writer.url}/accounts/{account}/deposits", json=body, timeout=60, trust_env=False)


def balance(projector: Service, version: int) -> httpx.Response:
    return httpx.get(f"{projector.url}/balances/alice?min_version={version}&wait=1", timeout=60, trust_env=False)


def ready(service: Service) -> int:
    return httpx.get(f"{service.url}/ready", timeout=60, trust_env=False).status_code


@pytest.mark.parametrize(("status", "body"), [(500, b"fault"), (200, EXPIRED)], ids=["500", "expired"])
def test_services_wait_while_credentials_are_out(
    credentials: CredentialsEndpoint,
    bridge: None,
    start_service: Callable[..., Service],
    clients: Clients,
    names: Names,
    status: int,
    body: bytes,
) -> None:
    credentials.fail(status, body)
    writer = start_service("writer", "serve", ready=False)
    projector = start_service("projector", "run", ready=False)
    for service in (writer, projector):
        until(lambda log=service.log: "waiting" in log.read_text())  # type: ignore[misc]
        assert service.exit_code is None, service.log.read_text()
    credentials.mend()
    for service in (writer, projector):
        service.wait_until_ready(60, print)
    assert deposit(writer, "alice").status_code == 201

    credentials.fail(status, body)
    # What is held is good for some seconds more.
    refused = until(lambda: deposit(writer, "bob"), lambda answer: answer.status_code != 201)
    assert (refused.status_code, refused.json()["type"]) == (503, "urn:kinfold:problem:unavailable")
    assert int(refused.headers["Retry-After"]) > 0
    until(lambda: ready(projector), lambda code: code == 503)
    for service in (writer, projector):
        assert service.exit_code is None, service.log.read_text()
        assert "Traceback" not in service.log.read_text()

    credentials.mend()
    until(lambda: deposit(writer, "alice").status_code, lambda code: code == 201)
    until(lambda: balance(projector, 2).status_code, lambda code: code == 200)


@pytest.mark.parametrize("credentials", ["instance"], indirect=True)
def test_services_wait_for_an_instance_s_metadata_service(
    credentials: CredentialsEndpoint, bridge: None, start_service: Callable[..., Service]
) -> None:
    credentials.fail(503, b"")
    services = [start_service("writer", "serve", ready=False), start_service("projector", "run", ready=False)]
    for service in services:
        until(lambda log=service.log: "HTTP status 503" in log.read_text())  # type: ignore[misc]
    credentials.mend()
    for service in services:
        service.wait_until_ready(60, print)
    assert deposit(services[0], "alice").status_code == 201
