"""Faust workers on KCL as processes: how they end, and that no Java is left behind."""

import signal
import sys
import time
from collections.abc import Callable

import pytest

from faust_kinesis.leases.table import TRIM_HORIZON, Lease
from tests.integration.faust_kinesis.conftest import Worker
from tests.support.aws.stream import Stream
from tests.support.processes import children, group, wait_until_gone

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc"),
]

RunWorker = Callable[[str], Worker]
GetLease = Callable[[str], Lease]


def guard_of(worker: Worker) -> int:
    (guard,) = [pid for pid in children(worker.process.pid) if "guard_process" in group(pid).get(pid, "")]
    assert any(command.startswith("java ") for command in group(guard).values())
    return guard


def test_sigterm_lets_the_agent_finish_checkpoints_and_gives_the_lease_back(
    stream: Stream, run_worker: RunWorker, lease: GetLease
) -> None:
    stream.create(1)
    stream.put("1", key="k")
    worker = run_worker("slow@kcl")
    shard_id = worker.hear("record")[0].split()[1]
    guard = guard_of(worker)
    assert worker.stop() == 0
    assert group(guard) == {}
    _, _, number = worker.hear("complete")[0].split()
    assert (lease(shard_id).checkpoint, lease(shard_id).owner) == (number, None)


def test_sigkill_takes_java_along_and_the_same_worker_goes_on_at_once(stream: Stream, run_worker: RunWorker) -> None:
    stream.create(1)
    stream.put("1", key="k")
    worker = run_worker("ok@kcl")
    worker.hear("complete")
    guard = guard_of(worker)
    worker.process.send_signal(signal.SIGKILL)
    worker.process.wait(5)
    wait_until_gone(guard)
    stream.put("2", key="k")
    started = time.monotonic()
    lines = run_worker("ok@kcl").hear("record")
    assert lines[-1].split()[3] in {"1", "2"}
    assert time.monotonic() - started < 100  # and so not when the killed leader's lock ended, after 120


def test_an_exception_in_the_agent_ends_the_worker_without_a_checkpoint(
    stream: Stream, run_worker: RunWorker, lease: GetLease
) -> None:
    stream.create(1)
    stream.put("1", key="k")
    worker = run_worker("crash@kcl")
    shard_id = worker.hear("record")[0].split()[1]
    assert worker.process.wait(20) == 1
    assert (lease(shard_id).checkpoint, lease(shard_id).owner) == (TRIM_HORIZON, None)


def test_an_agent_that_blocks_the_event_loop_ends_the_worker_with_the_place(
    stream: Stream, run_worker: RunWorker, lease: GetLease
) -> None:
    stream.create(1)
    stream.put("1", key="k")
    worker = run_worker("block@kcl")
    shard_id = worker.hear("record")[0].split()[1]
    guard = guard_of(worker)
    assert worker.process.wait(20) == 1
    worker.hear("in project", anywhere=True)
    wait_until_gone(guard)
    assert lease(shard_id).checkpoint == TRIM_HORIZON
