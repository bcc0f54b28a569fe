"""A real Prometheus with infra/'s rules on the real services, as docker-compose.yml runs it, with tokens.

Compose's name resolution, which finds the containers of a service, is what no test shows: the addresses are given.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from kinfold.local.service import Service
from ledger.runtime.aws import Clients
from ledger.store.event_store import EventStore
from ledger.store.tables import Names
from tests.support.accounts import deposit, stored_event
from tests.support.observing.exposed import families, registries
from tests.support.observing.files import needs_prometheus, queries, rules
from tests.support.observing.prometheus import Prometheus, prometheus
from tests.support.waiting import until

pytestmark = [pytest.mark.integration, pytest.mark.acceptance, needs_prometheus]

TOKEN: Final = "kf_operate"
COMMANDS: Final = {
    "projector": ("projector", "run"),
    "watch": ("bridge", "watch"),
    "relay": ("bridge", "relay"),
    "writer": ("writer", "serve"),
}
#: Alerts on what has happened within minutes, as it may on a slow machine; the others are on what is.
PASSING: Final = {rule["alert"] for rule in rules("alert") if "increase(" in rule["expr"] or "rate" in rule["expr"]}
#: What there is nothing of here, by the legends of its queries.
EMPTY: Final = {"not used: {{reason}}", "being built, {{projection}}"}


def ask(service: Service, path: str, body: dict[str, str] | None = None) -> httpx.Response:
    """GET, or POST of a body, by whoever has the token."""
    method, headers = "POST" if body else "GET", {"Authorization": f"Bearer {TOKEN}"}
    return httpx.request(method, f"{service.url}{path}", json=body, headers=headers, trust_env=False)


def answers(service: Service) -> bool:
    service.check()
    try:
        return ask(service, "/metrics").is_success
    except httpx.TransportError:
        return False


def settled(server: Prometheus, wanted: set[str]) -> dict[str, dict[str, dict[str, str]]]:
    return until(
        server.firing, lambda firing: firing.keys() - PASSING == wanted, why=lambda: f"{server.firing().keys()}"
    )


def test_what_is_wrong_fires_and_what_is_well_does_not(
    bridge: None,
    start_service: Callable[..., Service],
    child_env: dict[str, str],
    clients: Clients,
    names: Names,
    tmp_path: Path,
) -> None:
    allowed = f"test:read+write+operate:{hashlib.sha256(TOKEN.encode()).hexdigest()}"
    child_env |= {
        "KINFOLD_ACCESS": "tokens",
        "KINFOLD_TOKENS": allowed,
        "KINFOLD_FAILOVER_TIME": "3",
        "KINFOLD_SNAPSHOT_INTERVAL": "1",
    }
    services = {name: start_service(*command, ready=False) for name, command in COMMANDS.items()}
    made = {name: families(registry).keys() for name, registry in registries().items()}
    for name, service in services.items():
        until(lambda: answers(service), why=service.log.read_text)  # noqa: B023 - it is called here
        served = {each.name for each in text_string_to_metric_families(ask(service, "/metrics").text)}
        assert {each for each in served if not each.endswith("_created")} == made[name]
    targets = {name: [urlsplit(service.url).netloc] for name, service in services.items()}
    with prometheus(tmp_path, targets, TOKEN) as server:
        until(
            lambda: server.query("up == 1"),
            lambda found: len(found) == len(services),
            why=lambda: str(server.query("up")),
        )
        answer = ask(services["writer"], "/accounts/alice/deposits", {"amount": "12.50", "currency": "EUR"})
        assert answer.status_code == 201, answer.text
        settled(server, set())
        for rule in [*rules("alert"), *rules("record")]:
            server.query(rule["expr"])

        bad = stored_event("mallory", event_type="Nonsense")
        clients.dynamodb.put_item(TableName=names.events, Item=bad.to_item())
        deposit(EventStore(clients.dynamodb, names.events), "bob", 3)
        told = settled(server, {"AggregateHalted", "DeadLettersOpen"})
        assert told["AggregateHalted"]["annotations"]["action"] == "kinfold projector dead-letters list"
        shown = [query for _, query in queries() if query["legendFormat"] not in EMPTY]
        until(lambda: [query["expr"] for query in shown if not server.query(query["expr"])], lambda empty: empty == [])

        # Nobody is left to tell of the halted aggregate, and it is halted all the same.
        services["projector"].kill()
        settled(server, {"AggregateHalted", "DeadLettersOpen", "NoProjector", "NotScraped"})
