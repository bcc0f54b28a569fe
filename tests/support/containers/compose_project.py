"""docker-compose.yml on an engine, under a name of its own and on free ports; gone however the test ends."""

import json
import os
import re
import subprocess
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from secrets import choice, token_hex
from types import TracebackType
from typing import Any, Final, Protocol, Self

import httpx

from ledger.errors import ConfigurationError
from ledger.runtime.sockets import LOOPBACK, bind
from tests.support.waiting import PATIENCE, until

#: What every container, network and image of these tests is called.
PREFIX: Final = "kinfold-test-"
_INSIDE: Final = {
    "writer": "8080",
    "projector": "6066",
    "watch": "6067",
    "relay": "6068",
    "console": "6070",
    "localstack": "4566",
}
#: Below those that outgoing connections take, so that a container which starts again still finds its port free.
_PORTS: Final = range(20_000, 30_000)
#: The process that docker-init started. The images have no `ps`.
_KILL: Final = """
import os, pathlib
for status in pathlib.Path("/proc").glob("[0-9]*/stat"):
    if status.read_text().rpartition(")")[2].split()[1] == "1" and int(status.parent.name) != os.getpid():
        os.kill(int(status.parent.name), 9)
"""


def docker(*words: str, check: bool = True, timeout: float = 120) -> str:
    """Run ``docker WORDS``; gives what it printed on standard output."""
    answer = subprocess.run(["docker", *words], capture_output=True, text=True, check=False, timeout=timeout)
    assert not check or answer.returncode == 0, f"docker {' '.join(words)}: {answer.stdout}{answer.stderr}"
    return answer.stdout.strip()


def unused_port() -> str:
    """A port of 127.0.0.1 that nothing listens on right now."""
    while True:
        port = choice(_PORTS)
        try:
            bind(LOOPBACK, port).close()
        except ConfigurationError:
            continue
        return str(port)


def why_no_engine() -> str | None:
    """Why nothing can be run on an engine here; None when it can."""
    for words in (["version"], ["compose", "version"]):
        try:
            answer = subprocess.run(["docker", *words], capture_output=True, text=True, check=False, timeout=30)
        except OSError as error:
            return f"there is no docker command: {error}"
        if answer.returncode:
            return f"`docker {' '.join(words)}` says: {answer.stderr.strip()[-200:]}"
    return None


class ComposeProject:
    """One project. Whatever becomes of this process, its containers and networks are removed when it ends."""

    def __init__(self, checkout: Path, image: str, *, profiles: Sequence[str] = (), **settings: str) -> None:
        self.name = PREFIX + token_hex(4)
        ports = {_port_setting(service): unused_port() for service in _INSIDE}
        self.settings = ports | {"KINFOLD_IMAGE": image} | settings
        self._words = ["compose", "--project-name", self.name, "--ansi", "never", "--project-directory", str(checkout)]
        self._words += [word for profile in profiles for word in ("--profile", profile)]
        self._every = ["docker", *self._words, "--profile", "*"]
        #: For looks at the services: to make a client takes longer than a look. A kept connection may lead to a
        #: container as it was before.
        self.http = httpx.Client(trust_env=False, timeout=10, limits=httpx.Limits(max_keepalive_connections=0))

    def __enter__(self) -> Self:
        # The kernel closes the pipe when this process ends, in any way; the shell then removes what is left. Twice: a
        # container that is just starting again keeps the network from being removed.
        down = [*self._every, "down", "--volumes", "--remove-orphans", "--timeout", "10"]
        self._remover = subprocess.Popen(
            ["sh", "-c", 'cat; "$@"; exec "$@"', "sh", *down],
            env=self._environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.http.close()
        self._remover.communicate(timeout=120)
        assert self.left() == []

    def left(self) -> list[str]:
        """The containers, networks and volumes of this project that there are."""
        mine = f"label=com.docker.compose.project={self.name}"
        kinds = (["ps", "--all"], ["network", "ls"], ["volume", "ls"])
        return [line for kind in kinds for line in docker(*kind, "--quiet", "--filter", mine).splitlines()]

    def compose(self, *words: str, timeout: float = 900, **settings: str) -> "subprocess.CompletedProcess[str]":
        """Run ``docker compose WORDS``, with some settings changed for this once."""
        return subprocess.run(
            ["docker", *self._words, *words],
            env=self._environment() | settings,
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout,
        )

    def up(self, *words: str, **settings: str) -> None:
        """``docker compose up --wait``, with some settings changed from now on."""
        self.settings |= settings
        answer = self.compose("up", "--wait", "--no-build", *words)
        assert answer.returncode == 0, f"{answer.stderr}\n{self.log()}"

    def log(self, *services: str, lines: int = 40) -> str:
        """The ends of the services' logs."""
        return self.compose("logs", "--tail", str(lines), *services).stdout

    def containers(self, service: str) -> list[str]:
        """The ids of a service's containers, stopped ones too."""
        return [line.split()[0] for line in self._listed(service, "--all")]

    def container(self, service: str) -> str:
        """The name of a service's first container."""
        return f"{self.name}-{service}-1"

    def state(self, service: str) -> dict[str, Any]:
        """The state of a service's first container."""
        return state(self.container(service))

    def url(self, service: str) -> str:
        """Where this machine reaches a service; of several containers, one that runs."""
        if (port := self.settings[_port_setting(service)]) != "0":
            return f"http://127.0.0.1:{port}"
        return next(iter(self.urls(service).values()), "http://")

    def urls(self, service: str) -> dict[str, str]:
        """Where this machine reaches each of a service's containers that run, by its host name."""
        published = rf"(\w+) .*127\.0\.0\.1:(\d+)->{_INSIDE[service]}/tcp"
        found = filter(None, (re.match(published, line) for line in self._listed(service)))
        return {match[1]: f"http://127.0.0.1:{match[2]}" for match in found}

    @property
    def headers(self) -> dict[str, str]:
        """What a client of the services sends: the token in ``KINFOLD_TOKEN``, if there is one."""
        token = self.settings.get("KINFOLD_TOKEN")
        return {"Authorization": f"Bearer {token}"} if token else {}

    def kinfold(self, service: str, *words: str) -> "subprocess.CompletedProcess[str]":
        """Run ``kinfold WORDS`` in a service's container."""
        return self.compose("exec", "--no-TTY", service, "kinfold", *words)

    def is_ready(self, service: str) -> bool:
        """Whether the service says, on its published port, that it does its work."""
        try:
            return self.http.get(f"{self.url(service)}/ready", headers=self.headers).status_code == 200
        except (httpx.TransportError, httpx.InvalidURL):
            return False  # it is just being started, and perhaps has no port yet

    def wait_until_ready(self, *services: str, within: float = PATIENCE) -> None:
        """Wait until each says so."""
        for service in services:
            until(lambda: self.is_ready(service), within=within, why=lambda: self.log(service))  # noqa: B023

    def _listed(self, service: str, *words: str) -> list[str]:
        """Id, which is the host name, and ports of a service's containers. Compose would take five times as long."""
        labels = {"project": self.name, "service": service}
        mine = [f"--filter=label=com.docker.compose.{name}={value}" for name, value in labels.items()]
        return docker("ps", *words, *mine, "--format", "{{.ID}} {{.Ports}}").splitlines()

    def _environment(self) -> dict[str, str]:
        mine = {name: value for name, value in os.environ.items() if not name.startswith(("KINFOLD_", "COMPOSE_"))}
        return mine | self.settings


def _port_setting(service: str) -> str:
    return f"{service.upper()}_PORT"


def state(container: str) -> dict[str, Any]:
    """The state of a container, as the engine tells it."""
    found: dict[str, Any] = json.loads(docker("inspect", "--format", "{{json .State}}", container))
    return found


def kill_inside(container: str) -> None:
    """Kill a container's service from within, and wait until its restart policy has brought it back."""
    before = state(container)["StartedAt"]
    docker("exec", container, "python", "-c", _KILL, check=False)
    until(lambda: (now := state(container))["Running"] and now["StartedAt"] != before)


class Started(Protocol):
    """Start a project; ``words`` are for ``docker compose up``. It is gone after the block."""

    def __call__(
        self, *words: str, profiles: Sequence[str] = (), **settings: str
    ) -> AbstractContextManager[ComposeProject]: ...
