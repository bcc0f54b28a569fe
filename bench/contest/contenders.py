"""Who takes part in the contest, how each is started, and what it leaves behind."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from aws_client.tables import TableSpec
from bench.contest.bench_profile import BenchProfile
from bench.metering.meter import TreeWatch
from betting.projections import PROJECTIONS
from betting.projections.balance_summary import BALANCE_SUMMARY
from faust_kinesis.kcl.coordination.tables import kcl_specs
from kinfold.local.child import stop
from kinfold.local.environment import service_environment
from projector.engine.provisioning import control_specs
from projector.engine.read_model import table_spec
from projector.settings import ProjectorSettings

ROOT: Final = Path(__file__).parents[2]
#: The peers' environment: async-kinesis wants another botocore than the embedded AWS allows.
PEERS: Final = ROOT / ".venv-bench"
TIMEOUT: Final = 600.0
#: Seconds between two looks at a contender that runs.
_LOOK: Final = 0.1


class ContenderFailedError(Exception):
    """A contender ended without a report; the message has the end of its output."""


@dataclass(frozen=True, slots=True)
class Task:
    """What one run is to do: how many distinct events the stream holds in how many records."""

    profile: BenchProfile
    events: int
    records: int


@dataclass(frozen=True, slots=True)
class Contender:
    """A program that reads the stream from trim horizon and keeps balances.

    ``prefix``: it handles the first records only, since its rate does not depend on how many there are.
    ``tree``: it is several processes, whose CPU time and memory are summed.
    """

    name: str
    text: str
    command: Callable[[Task, Path], Sequence[str]]
    tables: Callable[[BenchProfile], Sequence[TableSpec]]
    balances: Callable[[BenchProfile], str]
    environment: Mapping[str, str]
    prefix: bool = True
    python: str = sys.executable
    tree: bool = False

    @property
    def installed(self) -> bool:
        """Whether its interpreter is there."""
        return Path(self.python).exists()

    def run(self, task: Task) -> dict[str, Any]:
        """Run it once on fresh tables; returns its report. Raises ContenderFailedError."""
        self.clear(task.profile)
        task.profile.ensure(*self.tables(task.profile))
        env = service_environment(task.profile.endpoint, task.profile.names.profile, self.environment)
        env.setdefault("AWS_DEFAULT_REGION", env["AWS_REGION"])
        env["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), env.get("PYTHONPATH")]))
        with tempfile.TemporaryDirectory(prefix="bench-") as home:
            report, log = Path(home) / "report.json", Path(home) / "log"
            with log.open("wb") as output:
                process = subprocess.Popen(
                    [self.python, *self.command(task, report)], env=env, stdout=output, stderr=subprocess.STDOUT
                )
            watch = TreeWatch(process.pid)
            try:
                self._wait(process, watch)
            finally:
                stop(process, timeout=10)
            if process.returncode or not report.exists():
                end = log.read_text(errors="replace")[-3000:]
                raise ContenderFailedError(f"{self.name} ended with {process.returncode}:\n{end}")
            found: dict[str, Any] = json.loads(report.read_text())
        if self.tree:
            found["cpu_seconds"] = watch.cpu_between(found["began_at"], found["ended_at"])
            found["peak_mb"] = watch.peak_mb
        return found

    def _wait(self, process: "subprocess.Popen[bytes]", watch: TreeWatch) -> None:
        deadline = time.monotonic() + TIMEOUT
        while process.poll() is None:
            if time.monotonic() > deadline:
                raise ContenderFailedError(f"{self.name} did not end within {TIMEOUT:.0f} s")
            if self.tree:
                watch.look()
            time.sleep(_LOOK)

    def clear(self, profile: BenchProfile) -> None:
        """Delete the tables of an earlier run."""
        profile.drop(*(spec.name for spec in self.tables(profile)))


def _peer_tables(profile: BenchProfile) -> list[TableSpec]:
    name = profile.names.profile
    return [
        TableSpec(f"balances-{name}", (("aggregateId", "S"),)),
        TableSpec(f"markers-{name}", (("eventId", "S"),)),
    ]


def _peer(module: str) -> Callable[[Task, Path], list[str]]:
    def command(task: Task, report: Path) -> list[str]:
        names = task.profile.names
        source = ["--stream", names.stream, "--records", str(task.records)]
        tables = ["--table", f"balances-{names.profile}", "--markers", f"markers-{names.profile}"]
        return ["-m", module, *source, *tables, "--report", str(report)]

    return command


def _kinfold_tables(profile: BenchProfile) -> list[TableSpec]:
    """Made anew for each run: rows, control rows, leases."""
    names = profile.names
    control = [spec for spec in control_specs(names) if spec.name == names.projections]
    return [*control, *(table_spec(each, names.profile, 1) for each in PROJECTIONS), *kcl_specs(names.leases)]


def _kinfold(*projections: str) -> Callable[[Task, Path], list[str]]:
    def command(task: Task, report: Path) -> list[str]:
        sizes = ["--events", str(task.events), "--records", str(task.records)]
        chosen = ["--projections", *projections] if projections else []
        return ["-m", "bench.alone.worker", *sizes, "--report", str(report), *chosen]

    return command


def _peer_balances(profile: BenchProfile) -> str:
    return f"balances-{profile.names.profile}"


def _kinfold_balances(profile: BenchProfile) -> str:
    return BALANCE_SUMMARY.table(profile.names.profile, 1)


_WORKER: Final = {"KINFOLD_WORKER_ID": "bench", "KINFOLD_CONSUMER": "polling"}

KINFOLD: Final = Contender(
    "kinfold",
    "the projector, reading by polling, with the balance summaries alone, as the peers",
    _kinfold(BALANCE_SUMMARY.name),
    _kinfold_tables,
    _kinfold_balances,
    _WORKER,
    prefix=False,
)
PLAIN: Final = Contender(
    "plain",
    "(a) the handler as usually written: a thread a shard, one UpdateItem a record, no protection against repeats",
    _peer("bench.peers.plain"),
    _peer_tables,
    _peer_balances,
    {},
)
MARKED: Final = Contender(
    "marked",
    "(b) the same, made idempotent: TransactWriteItems with a processed-events marker",
    _peer("bench.peers.marked"),
    _peer_tables,
    _peer_balances,
    {},
)
ASYNC_KINESIS: Final = Contender(
    "async-kinesis",
    "(c) async-kinesis 3's consumer with handler (a)",
    _peer("bench.peers.async_kinesis"),
    _peer_tables,
    _peer_balances,
    {},
    python=str(PEERS / "bin" / "python"),
)
CONTENDERS: Final = {each.name: each for each in (KINFOLD, PLAIN, MARKED, ASYNC_KINESIS)}


def _kclpy(task: Task, report: Path) -> list[str]:
    page = str(ProjectorSettings.model_fields["batch_size"].default)
    return [*_peer("bench.peers.kclpy")(task, report), "--application", task.profile.names.leases, "--page", page]


def _kclpy_tables(profile: BenchProfile) -> list[TableSpec]:
    return [*_peer_tables(profile), *kcl_specs(profile.names.leases)]


KINFOLD_KCL: Final = replace(
    KINFOLD,
    text="the projector on Amazon's KCL, Java and pipes included",
    environment={**_WORKER, "KINFOLD_CONSUMER": "kcl"},
    tree=True,
)
KCLPY: Final = Contender(
    "kclpy",
    "(d) kclpy's sample processor with handler (a), Java and a process a shard included",
    _kclpy,
    _kclpy_tables,
    _peer_balances,
    {},
    prefix=False,
    tree=True,
)
#: On Amazon's KCL: only against each other, since Java is part of both.
ON_KCL: Final = (KINFOLD_KCL, KCLPY)
