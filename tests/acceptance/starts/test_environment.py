"""The services in a shell that is not ours: variables of other programs are set, and ours do as they are told."""

import hashlib
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest
from faust.types.settings import Settings as FaustSettings

from kinfold.local.service import Service
from kinfold.scrape import counter
from ledger.runtime.aws import Clients
from ledger.runtime.sockets import free_port
from ledger.store.event_store import EventStore
from ledger.store.tables import Names
from tests.support.accounts import deposit
from tests.support.processes import children, listening
from tests.support.waiting import until

pytestmark = [pytest.mark.integration, pytest.mark.acceptance]

TOKEN: Final = "kf_ops"
TOKENS: Final = {
    "KINFOLD_ACCESS": "tokens",
    "KINFOLD_TOKENS": f"ops:operate+read:{hashlib.sha256(TOKEN.encode()).hexdigest()}",
}
SERVICES: Final = [
    *(("writer", "serve"), ("projector", "run"), ("bridge", "relay"), ("bridge", "watch")),
    ("console", "serve"),
]


@pytest.fixture
def hostile(tmp_path: Path) -> dict[str, str]:
    """What other programs' settings and a cluster may have put there, and what Faust would take it for."""
    faust = {param.env_name: "hostile" for param in FaustSettings.SETTINGS.values() if param.env_name}
    faust |= {"WEB_BIND": "0.0.0.0", "WEB_HOST": "0.0.0.0", "WEB_PORT": str(free_port()), "APP_WEB_ENABLED": "false"}
    faust |= {"APP_VERSION": "1.4.2", "BROKER_URL": "redis://celery:6379/0", "APP_DATADIR": str(tmp_path / "state")}
    at_import = {"FAUST_LOOP": "gevent", "F_LOOP": "gevent", "F_CONSOLE_PORT": "none", "FAUST_BLOCKING_TIMEOUT": "soon"}
    metrics = dict.fromkeys(("PROMETHEUS_MULTIPROC_DIR", "prometheus_multiproc_dir"), str(tmp_path / "no-such-folder"))
    servers = {"WEB_CONCURRENCY": "many", "FORWARDED_ALLOW_IPS": "*", "UVICORN_HOST": "0.0.0.0", "UVICORN_PORT": "1"}
    traces = {"FASTAPI_OTEL_AUTO_CONFIGURE": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": "ftp://collector"}
    links = {}
    for service in ("WRITER", "PROJECTOR", "BRIDGE"):
        links[f"KINFOLD_{service}_PORT"] = "tcp://10.96.0.12:8080"
        links[f"KINFOLD_{service}_SERVICE_HOST"] = "10.96.0.12"
    more = {"_KINFOLD_COMPLETE": "bash_source", "TOKENS": "", "ACCESS": "off", "HOST": "0.0.0.0", "PORT": "80"}
    return faust | at_import | metrics | servers | traces | links | more


def status(url: str, token: str | None = None) -> int:
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"} if token else {})
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code
    except OSError:
        return 0


@pytest.mark.parametrize("command", SERVICES, ids=" ".join)
def test_a_service_listens_where_it_is_told_and_asks_for_a_token(
    command: tuple[str, str], bridge: None, start_service: Callable[..., Service], hostile: dict[str, str]
) -> None:
    service = start_service(*command, ready=False, **hostile, **TOKENS)
    until(lambda: service.exit_code is not None or status(f"{service.url}/ready", TOKEN) == 200)
    port = int(service.url.rpartition(":")[2])
    assert service.exit_code is None, service.log.read_text()
    assert listening(service.pid) == {("127.0.0.1", port)}
    # The console shows whoever asks for a page the form to sign in.
    pages = () if command[0] == "console" else ("/dead-letters", "/accounts/alice")
    for path in ("/ready", "/metrics", *pages):
        assert status(f"{service.url}{path}") == 401, path
    assert status(f"{service.url}/metrics", TOKEN) == 200
    assert service.stop() == 0, service.log.read_text()
    assert not (service.log.parent / "state").exists()


def test_the_children_of_kcl_see_no_more_than_the_worker(
    bridge: None, start_service: Callable[..., Service], hostile: dict[str, str]
) -> None:
    kept = {"ECS_CONTAINER_METADATA_URI_X": "kept", "VAULT_ADDR": "passed on", "KINFOLD_PASS_ENV": "VAULT_ADDR"}
    worker = start_service("projector", "run", KINFOLD_CONSUMER="kcl", **hostile, **kept)

    def descendants(pid: int) -> list[int]:
        return [each for child in children(pid) for each in (child, *descendants(child))]

    def environment(pid: int) -> dict[str, str]:
        lines = Path("/proc", str(pid), "environ").read_text().split("\0")
        return dict(line.split("=", 1) for line in lines if line)

    # The guard, Java, and a pipe for each of the shards.
    found = until(lambda: descendants(worker.pid), lambda pids: len(pids) >= 3)
    for pid in found:
        seen = environment(pid)
        assert not seen.keys() & hostile.keys()
        assert kept.items() <= seen.items()


def test_a_demo_and_its_children_do_their_work(
    kinfold: Callable[..., tuple[int, str, str]], child_env: dict[str, str], hostile: dict[str, str]
) -> None:
    child_env |= hostile
    code, out, err = kinfold(
        "demo", "--endpoint-url", child_env["AWS_ENDPOINT_URL"], "--aggregates", "4", "--events", "40"
    )
    assert code == 0, err
    assert "mismatched 0" in out


def test_an_operators_command_shows_what_there_is(
    bridge: None, kinfold: Callable[..., tuple[int, str, str]], child_env: dict[str, str], hostile: dict[str, str]
) -> None:
    child_env |= hostile
    for words in ("projector dead-letters list", "bridge status --sample 0"):
        code, _, err = kinfold(*words.split())
        assert code == 0, err


def test_the_metrics_are_this_process_own(
    start_projector: Callable[..., Service],
    child_env: dict[str, str],
    clients: Clients,
    names: Names,
    tmp_path: Path,
) -> None:
    shared = tmp_path / "multiproc"
    shared.mkdir()
    child_env["PROMETHEUS_MULTIPROC_DIR"] = str(shared)
    projector = start_projector()
    deposit(EventStore(clients.dynamodb, names.events), "alice", 3)
    until(lambda: counter(projector.url, "kinfold_projector_records"), lambda records: records == 3)
    assert list(shared.iterdir()) == []
