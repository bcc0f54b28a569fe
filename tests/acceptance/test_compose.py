"""docker-compose.yml, read and lived through on a machine without a Docker engine.

Each service's own command, environment and health check runs as a process here; only host names and ports are mapped.
The image, the containers and their confinement, restarts and the network are shown on an engine, in `engine/`.
"""

import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
import yaml

from kinfold.local.child import spawn, stop, tail
from ledger.runtime.aws import Clients
from ledger.runtime.sockets import free_port
from tests.support.waiting import until

ROOT: Final = Path(__file__).parents[2]
#: What a container has beside its environment.
CONTAINER: Final = {"PATH": os.environ["PATH"], "HOME": "/tmp", "PYTHONUNBUFFERED": "1"}
SERVICES: Final = ("localstack", "bridge", "watch", "relay", "writer", "projector", "console", "prometheus", "grafana")
#: Images that are not made here.
IMAGES: Final = {
    "localstack": "localstack/localstack:4.14.0",
    "prometheus": "prom/prometheus:v3.5.0",
    "grafana": "grafana/grafana:12.3.1",
}


def env_example() -> dict[str, str]:
    lines = (ROOT / ".env.example").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def compose(variables: dict[str, str]) -> dict[str, Any]:
    """The file as compose reads it: ``${NAME:-default}`` filled in, anchors merged."""

    def fill(match: re.Match[str]) -> str:
        return variables.get(match["name"], match["default"])

    text = re.sub(r"\$\{(?P<name>\w+):-(?P<default>[^}]*)\}", fill, (ROOT / "docker-compose.yml").read_text())
    assert "${" not in text, "a variable without a default"
    read: dict[str, Any] = yaml.safe_load(text)
    return read


def test_it_runs_without_an_env_file_and_the_example_says_what_it_runs_with() -> None:
    assert compose({}) == compose(env_example())
    used = set(re.findall(r"\$\{(\w+)", (ROOT / "docker-compose.yml").read_text()))
    assert used == set(env_example())


def test_services_are_pinned_and_bound_to_loopback() -> None:
    services = compose({})["services"]
    assert tuple(services) == SERVICES
    assert {name: services[name]["image"] for name in IMAGES} == IMAGES
    for name, service in services.items():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", [])), name


def test_start_order_each_service_waits_for_what_it_needs() -> None:
    services = compose({})["services"]
    assert services["bridge"]["depends_on"] == {"localstack": {"condition": "service_healthy"}}
    for name in ("watch", "relay", "writer", "projector", "console"):
        assert services[name]["depends_on"] == {"bridge": {"condition": "service_completed_successfully"}}
        assert services[name]["healthcheck"]["test"][:4] == ["CMD", "python", "-m", "kinfold.health"]
    assert "healthcheck" in services["localstack"]


def test_boards_and_alerts_are_confined_and_read_what_is_in_infra() -> None:
    """By configuration alone, as their images cannot be had here; test_alerts.py runs Prometheus' command."""
    services = compose({})["services"]
    for name, unprivileged in (("prometheus", "65534:65534"), ("grafana", "472:0")):
        service = services[name]
        assert (service["profiles"], service["user"]) == (["observe"], unprivileged)
        assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])
        assert service["security_opt"] == ["no-new-privileges:true"]
        for volume in service["volumes"]:
            place, inside, mode = volume.split(":")
            assert (ROOT / place).is_dir()
            assert (inside.startswith(f"/etc/{name}"), mode) == (True, "ro")
        assert "depends_on" not in service, "they are to tell when nothing else runs"


def test_grafana_shows_the_board_to_anybody_and_asks_nobody() -> None:
    settings = compose({})["services"]["grafana"]["environment"]
    home = Path(settings["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"])
    assert (ROOT / "infra/grafana/dashboards" / home.relative_to("/etc/grafana/dashboards")).is_file()
    assert (settings["GF_AUTH_ANONYMOUS_ENABLED"], settings["GF_AUTH_ANONYMOUS_ORG_ROLE"]) == ("true", "Viewer")
    for off in ("AUTH_BASIC_ENABLED", "ANALYTICS_REPORTING_ENABLED", "ANALYTICS_CHECK_FOR_UPDATES"):
        assert settings[f"GF_{off}"] == "false"
    for on in ("SECURITY_DISABLE_INITIAL_ADMIN_CREATION", "PLUGINS_PREINSTALL_DISABLED", "SECURITY_DISABLE_GRAVATAR"):
        assert settings[f"GF_{on}"] == "true"


def test_prometheus_finds_each_service_where_it_listens() -> None:
    services = compose({})["services"]
    jobs = yaml.safe_load((ROOT / "infra/prometheus/prometheus.yml").read_text())["scrape_configs"]
    found = {job["job_name"]: job["dns_sd_configs"] for job in jobs}
    assert found.keys() == {"writer", "projector", "watch", "relay"}
    for name, ways in found.items():
        words = services[name]["command"]
        port = int(words[words.index("--port") + 1])
        assert ways == [{"names": [name], "type": "A", "port": port, "refresh_interval": "10s"}]


def test_the_image_is_pinned_and_copies_every_package() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text()
    assert re.search(r"^ARG PYTHON=3\.\d+\.\d+-slim-\w+$", dockerfile, re.MULTILINE)
    kept = (ROOT / ".dockerignore").read_text().splitlines()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    for package in project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]:
        assert f"COPY {package} {package}" in dockerfile
        assert f"!{package}" in kept


class Composed:
    """The file's services as processes on this machine: host names and ports mapped, the rest as it stands."""

    def __init__(self, endpoint: str, profile: str, logs: Path, **variables: str) -> None:
        self.services = compose({"KINFOLD_PROFILE": profile, **variables})["services"]
        self.logs = logs
        self.ports = {inside: str(free_port()) for inside in ("8080", "6066", "6067", "6068")}
        self._endpoint = endpoint

    def url(self, container_port: str) -> str:
        return f"http://127.0.0.1:{self.ports[container_port]}"

    def here(self, text: str) -> str:
        text = text.replace("http://localstack:4566", self._endpoint).replace("http://127.0.0.1:4566", self._endpoint)
        for inside, outside in self.ports.items():
            text = re.sub(rf"(^|127\.0\.0\.1:){inside}\b", rf"\g<1>{outside}", text)
        return "127.0.0.1" if text == "0.0.0.0" else text

    def environment(self, name: str) -> dict[str, str]:
        return CONTAINER | {key: self.here(str(value)) for key, value in self.services[name]["environment"].items()}

    @contextmanager
    def running(self, name: str) -> Iterator["subprocess.Popen[bytes]"]:
        command = [self.here(word) for word in self.services[name]["command"]]
        process = spawn("kinfold", command, env=self.environment(name), log=self.logs / f"{name}.log")
        try:
            yield process
        finally:
            assert stop(process, 40) == 0, tail(self.logs / f"{name}.log")

    def healthy(self, name: str) -> bool:
        # Without what waits the longer the older a container is: this machine's first process is older than that.
        kind, *words = (self.here(word) for word in self.services[name]["healthcheck"]["test"])
        words = shlex.split(words[0].rpartition("; ")[2]) if kind == "CMD-SHELL" else [sys.executable, *words[1:-1]]
        return subprocess.run(words, env=CONTAINER, capture_output=True, check=False, timeout=20).returncode == 0


def goes_all_the_way(composed: Composed, *daemons: str) -> None:
    """Start the services in their order, send one command to the writer, and read its balance from the projector."""
    assert composed.healthy("localstack")
    assert not composed.healthy("writer")
    with composed.running("bridge") as bridge:
        assert bridge.wait(120) == 0, tail(composed.logs / "bridge.log")
    with ExitStack() as running:
        for name in (*daemons, "writer", "projector"):
            running.enter_context(composed.running(name))
        for name in (*daemons, "writer", "projector"):
            until(partial(composed.healthy, name), why=partial(tail, composed.logs / f"{name}.log"))
        with httpx.Client(trust_env=False, timeout=30) as http:
            body = {"amount": "12.50", "currency": "EUR"}
            answer = http.post(f"{composed.url('8080')}/accounts/alice/deposits", json=body)
            assert (answer.status_code, answer.json()["version"]) == (201, 1)
            balance = http.get(f"{composed.url('6066')}/balances/alice", params={"min_version": 1, "wait": 20})
            assert balance.status_code == 200, balance.text
            assert (balance.json()["balance"], balance.json()["version"]) == ("12.50", 1)
            if "watch" in daemons:
                until(lambda: http.get(f"{composed.url('6067')}/ready").status_code == 200)


@pytest.mark.integration
@pytest.mark.acceptance
def test_one_command_goes_all_the_way(aws_endpoint: str, profile: str, clients: Clients, tmp_path: Path) -> None:
    goes_all_the_way(Composed(aws_endpoint, profile, tmp_path), "watch")


@pytest.mark.integration
@pytest.mark.acceptance
def test_one_command_goes_all_the_way_by_the_relay(
    aws_endpoint: str, profile: str, clients: Clients, tmp_path: Path
) -> None:
    composed = Composed(aws_endpoint, profile, tmp_path, KINFOLD_BRIDGE="relay", KINFOLD_CONSUMER="polling")
    assert composed.services["relay"]["profiles"] == ["relay"]
    goes_all_the_way(composed, "watch", "relay")
