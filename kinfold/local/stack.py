"""Bridge, writer and projector together, each a process as in production."""

import secrets
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from kinfold.local.child import spawn, stop, tail, temporary_folder
from kinfold.local.embedded_aws import REGION
from kinfold.local.environment import ACCESS_KEY, is_account, service_environment
from kinfold.local.service import Service, ServiceDiedError
from ledger.errors import ConfigurationError, EndpointError, KinfoldError
from ledger.runtime.auth import Credential, Principal, Scope, digest, new_token
from ledger.runtime.settings import Bridge
from ledger.runtime.sockets import LOOPBACK, free_port

#: Seconds for a service to become ready; the KCL needs over a minute on its first start.
READY_TIMEOUT: Final = 180.0
#: The error that each exit code of ``bridge ensure`` stands for, so that ours is the same.
_BRIDGE_ERRORS: Final[Mapping[int, type[KinfoldError]]] = {2: ConfigurationError, 75: EndpointError}
#: The bridge's daemon: the watch beside the native destination, or the relay.
_DAEMONS: Final[Mapping[Bridge, str]] = {"native": "watch", "relay": "relay"}
#: The command that runs each service.
_COMMANDS: Final = {
    "watch": ("bridge", "watch"),
    "relay": ("bridge", "relay"),
    "writer": ("writer", "serve"),
    "projector": ("projector", "run"),
    "console": ("console", "serve"),
}


class Stack:
    """The services on one endpoint and profile; everything is stopped when the block ends.

    ``bridge ensure`` runs to its end first. Where the services ask for tokens, they get one more, of scope operate and
    known to nobody else: by it they are asked whether they are ready, and the console reads their metrics.

    Logs go to ``log_dir``, one file a service; without one, to a temporary directory that stays only when the block
    fails. Port 0 takes a free one.
    """

    def __init__(
        self,
        endpoint: str,
        *,
        profile: str,
        shards: int = 1,
        env: Mapping[str, str] | None = None,
        log_dir: Path | None = None,
        bridge: Bridge = "native",
        writer_port: int = 0,
        projector_port: int = 0,
        bridge_port: int = 0,
        console_port: int | None = None,
        report: Callable[[str], None] = lambda _: None,
    ) -> None:
        """``env`` goes on top of the services' environment; ``report`` gets a line for each step.

        ``bridge``: what carries the table to the stream. The bridge's daemon is a watch over the native destination,
        or the relay. ``console_port``: where a console is served that shows it all; None: there is none.
        """
        self._keep_logs = log_dir is not None
        self.log_dir = log_dir or temporary_folder("kinfold-logs-")
        self._env = service_environment(endpoint, profile, {"KINFOLD_BRIDGE": bridge, **(env or {})})
        self.guarded = self._env.get("KINFOLD_ACCESS") == "tokens" and bool(self._env.get("KINFOLD_TOKENS", "").strip())
        self._token = new_token() if self.guarded else None
        if self._token is not None:
            own = Principal(f"kinfold-{secrets.token_hex(4)}", frozenset({Scope.OPERATE}))
            self._env["KINFOLD_TOKENS"] += f",{Credential(own, digest(self._token))}"
        self._shards = shards
        self._report = report
        self._bridge_name = _DAEMONS[bridge]
        ports = {self._bridge_name: bridge_port, "writer": writer_port, "projector": projector_port}
        if console_port is not None:
            ports["console"] = console_port
        self._ports = {name: port or free_port() for name, port in ports.items()}
        self._services: dict[str, Service] = {}

    @property
    def writer(self) -> Service:
        """The writer's process."""
        return self._services["writer"]

    @property
    def projector(self) -> Service:
        """The projector's process: another one after ``restart_projector``."""
        return self._services["projector"]

    @property
    def bridge(self) -> Service:
        """The process of the bridge's daemon."""
        return self._services[self._bridge_name]

    @property
    def pids(self) -> dict[str, int]:
        """The process of each service that was started."""
        return {name: service.pid for name, service in self._services.items()}

    @property
    def urls(self) -> dict[str, str]:
        """The URL of each service that was started."""
        return {name: service.url for name, service in self._services.items()}

    @property
    def region(self) -> str:
        """The AWS region that the services use."""
        return self._env.get("AWS_REGION") or self._env.get("AWS_DEFAULT_REGION") or REGION

    @property
    def account(self) -> dict[str, str]:
        """The access key of the services, where it is no secret but the number of an emulator's account."""
        return {name: value for name, value in self._env.items() if name == ACCESS_KEY and is_account(value)}

    @property
    def logs(self) -> dict[str, Path]:
        """The log file of each service, which may not exist yet."""
        return {name: self.log_dir / f"{name}.log" for name in ("bridge", *self._ports)}

    def __enter__(self) -> Self:
        """Start everything and wait until it is ready.

        Raises ServiceDiedError, ServiceNotReadyError, and what ``bridge ensure`` reports as bad settings
        (ConfigurationError) or a silent endpoint (EndpointError). Nothing is left running then.
        """
        try:
            self._ensure_bridge()
            for name in self._ports:
                self._start(name)
            for service in self._services.values():
                service.wait_until_ready(READY_TIMEOUT, self._report)
                self._report(f"the {service.name} is ready: {service.url}")
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        if kind is None and not self._keep_logs:
            shutil.rmtree(self.log_dir, ignore_errors=True)

    def check(self) -> None:
        """Raises ServiceDiedError when a service no longer runs."""
        for service in self._services.values():
            service.check()

    def restart_projector(self) -> None:
        """Stop the projector if it runs, start it again on the same port, and wait until it is ready."""
        self.projector.stop()
        self._start("projector")
        self.projector.wait_until_ready(READY_TIMEOUT, self._report)

    def stop(self) -> None:
        """Stop the services in reverse order: SIGTERM, SIGKILL for one that hangs. Safe to repeat."""
        for service in reversed(list(self._services.values())):
            service.stop()

    def kill(self) -> None:
        """SIGKILL for every service at once, without waiting: safe to call from a signal handler during ``stop``."""
        for service in self._services.values():
            service.kill(wait=False)

    def _ensure_bridge(self) -> None:
        self._report("the bridge makes tables and stream")
        log = self.logs["bridge"]
        process = spawn("kinfold", ["bridge", "ensure", "--shards", str(self._shards)], env=self._env, log=log)
        try:
            while process.poll() is None:
                time.sleep(0.05)
        finally:
            code = stop(process, timeout=5)
        if code != 0:
            kind = _BRIDGE_ERRORS.get(code, ServiceDiedError)
            raise kind(f"the bridge ended with exit code {code}; the end of its log {log}:\n{tail(log)}")

    def _start(self, name: str) -> None:
        port = self._ports[name]
        arguments = [*_COMMANDS[name], "--host", LOOPBACK, "--port", str(port)]
        url = f"http://{LOOPBACK}:{port}"
        # The console shows what it finds running: it is started last.
        env = self._env | (self._of_the_console() if name == "console" else {})
        self._services[name] = Service(name, arguments, url=url, env=env, log=self.logs[name], token=self._token)

    def _of_the_console(self) -> dict[str, str]:
        """Where the services are, and by which token they tell how they do."""
        token = self._env.get("KINFOLD_CONSOLE_TOKEN") or self._token or ""
        return {"KINFOLD_CONSOLE_SERVICES": ",".join(self.urls.values()), "KINFOLD_CONSOLE_TOKEN": token}
