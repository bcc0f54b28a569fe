"""A Prometheus of this machine, as docker-compose.yml runs one: its command and infra/'s files, with places mapped."""

import os
import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import httpx
import yaml

from kinfold.local.child import stop, tail
from ledger.runtime.sockets import free_port
from tests.support.observing.files import PROMETHEUS
from tests.support.waiting import until

COMPOSE: Final = PROMETHEUS.parents[1] / "docker-compose.yml"


class Prometheus:
    """A running Prometheus, asked over its API."""

    def __init__(self, http: httpx.Client) -> None:
        self._http = http

    def ready(self) -> bool:
        """Whether it answers."""
        try:
            return self._http.get("/-/ready").is_success
        except httpx.TransportError:
            return False

    def query(self, expression: str) -> list[dict[str, Any]]:
        """What an expression gives at this moment."""
        answer = self._http.get("/api/v1/query", params={"query": expression})
        assert answer.is_success, f"{expression}: {answer.text}"
        found: list[dict[str, Any]] = answer.json()["data"]["result"]
        return found

    def firing(self) -> dict[str, dict[str, Any]]:
        """The alerts that fire, by name; of several of a name, one."""
        alerts = self._http.get("/api/v1/alerts").json()["data"]["alerts"]
        return {alert["labels"]["alertname"]: alert for alert in alerts if alert["state"] == "firing"}


@contextmanager
def prometheus(folder: Path, targets: Mapping[str, Sequence[str]], token: str) -> Iterator[Prometheus]:
    """Run one while the block runs, which scrapes ``targets`` (addresses by job) and sends ``token``.

    It is the compose file's own, but for addresses, places, and patience: it scrapes every two seconds, judges
    every second, and an alert fires once its condition has held for one.
    """
    port = free_port()
    _copy_files(folder, targets)
    places = {"/bin/prometheus": f"prometheus --web.listen-address=127.0.0.1:{port}", "/etc/prometheus": str(folder)}
    places |= {"=/prometheus": f"={folder / 'data'}", "/tmp/token": f"{folder}/token"}
    service = yaml.safe_load(COMPOSE.read_text())["services"]["prometheus"]
    (script,) = service["command"]
    for inside, outside in places.items():
        assert inside in script
        script = script.replace(inside, outside)
    log = folder / "prometheus.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*service["entrypoint"], script.replace("$$", "$")],
            env={"KINFOLD_TOKEN": token, "PATH": os.environ["PATH"]},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=10) as http:
            server = Prometheus(http)
            until(lambda: server.ready() or process.poll() is not None, why=lambda: tail(log))
            assert process.poll() is None, tail(log)
            yield server
    finally:
        assert stop(process, 20) == 0, tail(log)


def _copy_files(folder: Path, targets: Mapping[str, Sequence[str]]) -> None:
    """The configuration and the rules, with these targets and without patience."""
    configuration = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())
    configuration["global"] = {"scrape_interval": "2s", "scrape_timeout": "2s", "evaluation_interval": "1s"}
    for job in configuration["scrape_configs"]:
        del job["dns_sd_configs"]
        job["static_configs"] = [{"targets": list(targets[job["job_name"]])}]
        job["authorization"]["credentials_file"] = str(folder / "token")
    (folder / "prometheus.yml").write_text(yaml.safe_dump(configuration))
    for path in PROMETHEUS.glob("*.rules.yml"):
        impatient = re.sub(r"^( +for:) .*$", r"\1 1s", path.read_text(), flags=re.MULTILINE)
        (folder / path.name).write_text(impatient)
