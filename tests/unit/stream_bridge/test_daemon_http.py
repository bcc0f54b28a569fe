"""The web of the bridge's daemons, on a real socket."""

import hashlib
from collections.abc import Iterator
from typing import Any, cast

import httpx
import pytest
from prometheus_client import CollectorRegistry, Gauge

from ledger.runtime.auth import Access, Credential
from ledger.runtime.serving.listener import Limits
from ledger.runtime.sockets import bind
from ledger.store.table_identity import TableGuard, TableIdentities
from ledger.store.tables import Names
from stream_bridge.daemon_http import HealthReport, serving


class Daemon:
    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.shown = Gauge("kinfold_test_shown", "how often the gauges were asked for", registry=self.registry)
        self.unhealthy: str | None = None
        self.unready: str | None = None

    def health(self) -> HealthReport:
        return HealthReport(self.unhealthy)

    def ready(self) -> HealthReport:
        return HealthReport(self.unready, {"role": "standby"})

    def show(self) -> None:
        self.shown.inc()


def credential(name: str, scope: str) -> Credential:
    return Credential.parse(f"{name}:{scope}:{hashlib.sha256(f'kf_{name}'.encode()).hexdigest()}")


@pytest.fixture
def daemon() -> Daemon:
    return Daemon()


@pytest.fixture
def http(daemon: Daemon) -> Iterator[httpx.Client]:
    access = Access([credential("ops", "operate"), credential("shop", "read+write")])
    guard = TableGuard(TableIdentities(cast("Any", None), Names("test")))
    limits = Limits(connections=16, head_timeout=10, body_timeout=10, idle_timeout=60)
    with (
        serving(daemon, access, bind("127.0.0.1", 0), limits, guard) as url,
        httpx.Client(base_url=url, trust_env=False) as client,
    ):
        yield client


def bearer(name: str) -> dict[str, Any]:
    return {"headers": {"Authorization": f"Bearer kf_{name}"}}


def test_it_tells_how_the_daemon_stands(daemon: Daemon, http: httpx.Client) -> None:
    assert http.get("/health").json() == {"status": "ok"}
    assert http.get("/ready", **bearer("ops")).json() == {"status": "ready", "role": "standby"}
    metrics = http.get("/metrics", **bearer("ops")).text
    assert "kinfold_test_shown 1.0" in metrics
    assert "kinfold_events_table_replaced 0.0" in metrics
    daemon.unhealthy, daemon.unready = "held up for 31 s", "waits"
    answer = http.get("/health")
    assert (answer.status_code, answer.json()["detail"]) == (503, "held up for 31 s")
    answer = http.get("/ready", **bearer("ops"))
    assert (answer.status_code, answer.json()["detail"], answer.json()["role"]) == (503, "waits", "standby")
    assert answer.headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize("path", ["/ready", "/metrics", "/nothing-here"])
def test_every_route_but_health_wants_a_token_to_operate(http: httpx.Client, path: str) -> None:
    assert http.get(path).status_code == 401
    assert http.get(path, **bearer("stranger")).status_code == 401
    assert http.get(path, **bearer("shop")).status_code == 403
    assert http.get(path, **bearer("ops")).status_code in {200, 404}
