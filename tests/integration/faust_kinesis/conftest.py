"""A stream and a lease table of each test's own, and sources that are ended after it."""

import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from faust_kinesis.kcl.source import KclSource
from faust_kinesis.leases.table import Lease, LeaseTable
from faust_kinesis.options import KinesisOptions
from faust_kinesis.polling.source import PollingSource
from faust_kinesis.source import ShardSource
from kinfold.local.embedded_aws import REGION
from tests.support.aws.stream import Stream

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_kinesis import KinesisClient

HERE = Path(__file__).parent
ROOT = HERE.parents[2]


@pytest.fixture
def stream(kinesis: "KinesisClient", profile: str) -> Stream:
    """A name for a stream, not created yet."""
    return Stream(kinesis, f"orders-{profile}")


@pytest.fixture
def application(profile: str) -> str:
    return f"leases-{profile}"


@pytest.fixture
def lease_table(dynamodb: "DynamoDBClient", application: str) -> LeaseTable:
    return LeaseTable(dynamodb, application)


@pytest.fixture
def lease(lease_table: LeaseTable) -> Callable[[str], Lease]:
    return lambda key: lease_table.scan()[key]


class MakeSource(Protocol):
    async def __call__(self, worker_id: str = "w1", **options: Any) -> ShardSource: ...


@pytest.fixture(params=["polling", "kcl"])
def kind(request: pytest.FixtureRequest) -> str:
    """The source under test."""
    return str(request.param)


@pytest.fixture
async def make_source(
    kind: str,
    kinesis: "KinesisClient",
    dynamodb: "DynamoDBClient",
    stream: Stream,
    application: str,
) -> AsyncIterator[MakeSource]:
    """Makes and starts a source of the kind under test; all are aborted after the test."""
    made: list[ShardSource] = []

    async def make(worker_id: str = "w1", **options: Any) -> ShardSource:
        quick = {"poll_interval": 0.2, "checkpoint_interval": 0.0, "failover_time": 2.0, "shard_sync_interval": 2.0}
        every = KinesisOptions(application=application, worker_id=worker_id, **{**quick, **options})
        source_type = KclSource if kind == "kcl" else PollingSource
        source = source_type(stream.name, every, kinesis=kinesis, dynamodb=dynamodb)
        made.append(source)
        await source.start()
        return source

    yield make
    for source in made:
        await source.abort()


class Worker:
    """A worker process and what it says."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        self.said: list[str] = []
        self._lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._listen, daemon=True).start()

    def hear(self, words: str, times: int = 1, within: float = 30.0, *, anywhere: bool = False) -> list[str]:
        """Wait until that many lines that start with these words (or have them ``anywhere``) were said."""
        deadline = time.monotonic() + within
        while (
            len(found := [line for line in self.said if line.startswith(words) or (anywhere and words in line)]) < times
        ):
            try:
                self.said.append(self._lines.get(timeout=max(0.01, deadline - time.monotonic())))
            except queue.Empty:
                raise AssertionError(
                    f"no {times} x {words!r} within {within} s, but:\n" + "\n".join(self.said)
                ) from None
        return found

    def stop(self, within: float) -> int:
        """SIGTERM; the exit code, if it comes in time."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(within)

    def _listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line.rstrip())


@pytest.fixture
def run_worker(
    stream: Stream, application: str, child_env: dict[str, str], tmp_path: Path
) -> Iterator[Callable[[str], Worker]]:
    workers: list[Worker] = []

    def run(mode: str) -> Worker:
        process = subprocess.Popen(
            [sys.executable, str(HERE / "worker_app.py"), stream.name, application, mode, str(tmp_path)],
            env=child_env | {"PYTHONPATH": str(ROOT), "AWS_DEFAULT_REGION": REGION},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        workers.append(Worker(process))
        return workers[-1]

    yield run
    for worker in workers:
        worker.process.kill()
        worker.process.wait()
        if worker.process.stdout:
            worker.process.stdout.close()
