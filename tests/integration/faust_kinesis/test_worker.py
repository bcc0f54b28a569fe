"""The transport in real Faust workers: processes, signals, exit codes."""

from collections.abc import Callable

import pytest

from faust_kinesis.leases.table import TRIM_HORIZON, Lease, LeaseTable
from tests.integration.faust_kinesis.conftest import Worker
from tests.support.aws.stream import Stream
from tests.support.waiting import until

pytestmark = pytest.mark.integration

GetLease = Callable[[str], Lease]


def test_sigterm_when_idle_exits_zero_soon_with_everything_checkpointed(
    stream: Stream, run_worker: Callable[[str], Worker], lease: GetLease
) -> None:
    stream.create(1)
    stream.put("1", "2", key="k")
    worker = run_worker("ok")
    _, shard_id, number = worker.hear("complete")[-1].split()
    assert worker.stop() == 0
    stored = lease(shard_id)
    assert int(stored.checkpoint) >= int(number)
    assert stored.owner is None


def test_sigterm_lets_the_agent_finish_its_batch(
    stream: Stream, run_worker: Callable[[str], Worker], lease: GetLease
) -> None:
    stream.create(1)
    stream.put("1", key="k")
    worker = run_worker("slow")
    shard_id = worker.hear("record")[0].split()[1]
    assert worker.stop() == 0
    _, _, number = worker.hear("complete")[0].split()
    assert lease(shard_id).checkpoint == number


def test_an_exception_in_the_agent_ends_the_worker_without_a_checkpoint(
    stream: Stream, run_worker: Callable[[str], Worker], lease: GetLease
) -> None:
    stream.create(1)
    stream.put("1", "2", key="k")
    worker = run_worker("crash")
    shard_id = worker.hear("record")[0].split()[1]
    assert worker.process.wait(20) == 1
    stored = lease(shard_id)
    assert (stored.checkpoint, stored.owner) == (TRIM_HORIZON, None)
    again = run_worker("ok")
    assert again.hear("record", 2)[0].split()[3] == "1"


def test_what_is_sent_comes_back_in_order(stream: Stream, run_worker: Callable[[str], Worker]) -> None:
    stream.create(2)
    worker = run_worker("send")
    lines = worker.hear("record", 3)
    assert [line.split()[2:] for line in lines] == [["k", "m0"], ["k", "m1"], ["k", "m2"]]
    worker.hear("sent")
    assert worker.stop() == 0


def all_checkpointed(worker: Worker, records: int, leases: LeaseTable) -> None:
    """Wait until so many records came and nothing of them is left: the endpoint may forget a shard that is split."""
    worker.hear("record", records)
    until(lambda: [line for line in worker.said if line.startswith(("record", "complete"))][-1].startswith("complete"))
    last = dict(line.split()[1:] for line in worker.said if line.startswith("complete"))
    until(lambda: all(row.ended or row.checkpoint == last[key] for key, row in leases.scan().items() if key in last))


def test_a_split_and_a_merge_under_a_running_worker(
    stream: Stream, run_worker: Callable[[str], Worker], lease_table: LeaseTable
) -> None:
    stream.create(1)
    worker = run_worker("ok")
    stream.put(*"abcd")
    (parent,) = stream.shard_ids()
    all_checkpointed(worker, 4, lease_table)
    stream.split(parent)
    stream.put(*"efgh")
    all_checkpointed(worker, 8, lease_table)
    left, right = [shard_id for shard_id in stream.shard_ids() if shard_id != parent]
    stream.merge(left, right)
    stream.put(*"ijkl")
    lines = worker.hear("record", 12)
    assert sorted(line.split()[3] for line in lines) == list("abcdefghijkl")
    assert worker.stop() == 0


def test_sigterm_while_the_stream_is_awaited(stream: Stream, run_worker: Callable[[str], Worker]) -> None:
    worker = run_worker("ok")
    worker.hear("does not exist yet", anywhere=True)
    assert worker.process.poll() is None
    assert worker.stop() == 0


def test_a_stream_deleted_under_the_worker_ends_it(stream: Stream, run_worker: Callable[[str], Worker]) -> None:
    stream.create(1)
    stream.put("1", key="k")
    worker = run_worker("ok")
    worker.hear("complete")
    stream.kinesis.delete_stream(StreamName=stream.name)
    assert worker.process.wait(60) == 1


@pytest.mark.parametrize(
    ("mistake", "said"),
    [("raw", "batch_topic"), ("restart", "OneForOneSupervisor"), ("two", "one Faust app reads one stream")],
)
def test_an_app_that_would_lose_batches_is_refused(
    run_worker: Callable[[str], Worker], mistake: str, said: str
) -> None:
    worker = run_worker(mistake)
    assert worker.process.wait(60) == 1
    worker.hear(said, anywhere=True)


def test_an_endpoint_that_is_down_is_waited_for_and_a_stop_is_heard(
    run_worker: Callable[[str], Worker], child_env: dict[str, str]
) -> None:
    child_env["AWS_ENDPOINT_URL"] = "http://127.0.0.1:9"
    worker = run_worker("ok")
    worker.hear("Could not find stream", anywhere=True)
    assert worker.process.poll() is None
    assert worker.stop() == 0
