"""A stream and a lease table of each test's own, and sources that are ended after it."""

import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from faust_kinesis.leases.table import Lease, LeaseTable
from kinfold.local.embedded_aws import REGION
from tests.support.aws.stream import Stream
from tests.support.waiting import until

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


class Worker:
    """A worker process and what it says."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        self.said: list[str] = []
        threading.Thread(target=self._listen, daemon=True).start()

    def hear(self, words: str, times: int = 1, *, anywhere: bool = False) -> list[str]:
        """Wait until that many lines that start with these words (or have them ``anywhere``) were said."""

        def found() -> list[str]:
            return [line for line in self.said if line.startswith(words) or (anywhere and words in line)]

        return until(
            found,
            lambda lines: len(lines) >= times,
            why=lambda: f"no {times} x {words!r}, but:\n" + "\n".join(self.said),
        )

    def stop(self) -> int:
        """SIGTERM; the exit code, if it comes sooner than the 30 s in which the worker would give up."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(25)

    def _listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said.append(line.rstrip())


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
