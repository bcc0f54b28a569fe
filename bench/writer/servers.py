"""What is measured, as processes: the AWS in memory, Kinfold's writer, the peer."""

import contextlib
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson

from bench.metering.meter import cpu_of
from bench.writer.load import ask_once
from kinfold.local.child import spawn, stop, tail
from kinfold.local.embedded_aws import REGION
from kinfold.local.environment import service_environment
from ledger.runtime.sockets import free_port
from ledger.store.tables import Names

PROFILE: Final = "test-bench"
NAMES: Final = Names(PROFILE)
KINFOLD: Final = "kinfold"
PEER: Final = "peer"
_START: Final = 60.0
#: Seconds without a call after which nothing more is taken to come of what was sent: snapshots are written later.
_QUIET: Final = 0.5


@dataclass(frozen=True, slots=True)
class Server:
    """A running process that listens on ``port``."""

    port: int
    pid: int

    def cpu_seconds(self) -> float:
        """What it has used so far."""
        return cpu_of(self.pid)


@dataclass(frozen=True, slots=True)
class Counts:
    """What the AWS in memory was asked for: operations, and units by table."""

    calls: Mapping[str, int]
    read_units: Mapping[str, float]
    write_units: Mapping[str, float]

    def since(self, before: "Counts") -> "Counts":
        """What came after an earlier look."""

        def left(now: Mapping[str, Any], then: Mapping[str, Any]) -> dict[str, Any]:
            return {name: now[name] - then.get(name, 0) for name in now if now[name] != then.get(name, 0)}

        return Counts(
            left(self.calls, before.calls),
            left(self.read_units, before.read_units),
            left(self.write_units, before.write_units),
        )


class Aws:
    """The AWS in memory."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self.url = f"http://127.0.0.1:{server.port}"

    def counts(self) -> Counts:
        """The counts once nothing has come for half a second."""
        before = self.so_far()
        while True:
            time.sleep(_QUIET)
            now = self.so_far()
            if now == before:
                return now
            before = now

    def so_far(self) -> Counts:
        """The counts at this moment."""
        return Counts(**orjson.loads(ask_once(self._server.port, lambda client: client.ask("GET", "/"))[1]))

    def item(self, table: str, **key: str) -> Any:
        """An item as it is stored; None where there is none."""
        body = orjson.dumps({"TableName": table, "Key": {name: {"S": value} for name, value in key.items()}})
        target = "DynamoDB_20120810.GetItem"
        _, answer = ask_once(self._server.port, lambda client: client.ask("POST", "/", body, X_Amz_Target=target))
        return orjson.loads(answer).get("Item")


@contextlib.contextmanager
def memory_aws(millis: float, caller: str = "") -> Iterator[Aws]:
    """An AWS in memory with empty tables, whose answers take so many milliseconds.

    ``caller``: a part of the user agent whose calls are counted, all of them; by default everybody's calls on items.
    """
    arguments = ["--profile", PROFILE, "--millis", str(millis), "--caller", caller]
    with running("bench.writer.aws_process", arguments, {}, ready=lambda client: client.ask("GET", "/")) as server:
        yield Aws(server)


@contextlib.contextmanager
def writer(name: str, aws: Aws, **settings: str) -> Iterator[Server]:
    """Kinfold's writer or the peer on an AWS, ready."""
    # boto3 alone reads the region from the older variable.
    env = service_environment(aws.url, PROFILE, {"AWS_DEFAULT_REGION": REGION, **settings})
    module, arguments = {
        KINFOLD: ("kinfold", ["writer", "serve"]),
        PEER: ("bench.peers.writer", ["--events", NAMES.events, "--commands", NAMES.commands]),
    }[name]
    with running(module, arguments, env, ready=lambda client: client.ask("GET", "/health")) as server:
        yield server


@contextlib.contextmanager
def running(
    module: str, arguments: Sequence[str], env: Mapping[str, str], *, ready: Callable[[Any], Any]
) -> Iterator[Server]:
    """A process that serves on a port of its own, once ``ready`` is answered 200."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="bench-writer-") as home:
        log = Path(home) / "log"
        given = dict(env) or service_environment("http://127.0.0.1:9", PROFILE)
        process = spawn(module, [*arguments, "--port", str(port)], env=given, log=log)
        try:
            _wait(process, port, ready, log)
            yield Server(port, process.pid)
        finally:
            stop(process, 40)


def _wait(process: "subprocess.Popen[bytes]", port: int, ready: Callable[[Any], Any], log: Path) -> None:
    deadline = time.monotonic() + _START
    while True:
        try:
            status, _ = ask_once(port, ready)
        except OSError:
            status = 0
        if status == 200:
            return
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"a server did not start:\n{tail(log)}")
        time.sleep(0.05)
