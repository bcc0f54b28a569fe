"""Whatever breaks between KCL and the worker ends the source with the reason, and all of Java with it."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from faust_kinesis.errors import AgentHungError, DaemonError, FaustKinesisError
from faust_kinesis.kcl.source import KclSource
from faust_kinesis.leases.table import TRIM_HORIZON, Lease
from faust_kinesis.options import KinesisOptions
from faust_kinesis.polling.source import PollingSource
from faust_kinesis.records import RecordBatch
from faust_kinesis.source import ShardSource
from tests.support.aws.stream import Stream
from tests.support.processes import children, group, one, wait_until_gone
from tests.support.sources import QUICK, take
from tests.support.waiting import eventually, next_second

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_kinesis import KinesisClient

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc"),
]

GetLease = Callable[[str], Lease]


class MakeKcl(Protocol):
    async def __call__(self, *, child: list[str] | None = None, **options: Any) -> KclSource: ...


@pytest.fixture
async def make_kcl(
    kinesis: "KinesisClient", dynamodb: "DynamoDBClient", stream: Stream, application: str
) -> AsyncIterator[MakeKcl]:
    """Makes and starts a source on KCL; afterwards nothing of its daemon may be left."""
    made: list[KclSource] = []

    async def make(*, child: list[str] | None = None, **options: Any) -> KclSource:
        every = KinesisOptions(application=application, worker_id="w1", **{**QUICK, "stop_timeout": 15.0, **options})
        source = KclSource(stream.name, every, kinesis=kinesis, dynamodb=dynamodb, child=child)
        made.append(source)
        await source.start()
        return source

    yield make
    leaders = daemons()
    for source in made:
        await source.stop()
    for leader in leaders:
        await asyncio.to_thread(wait_until_gone, leader)


def daemons() -> list[int]:
    """The leaders of the process groups of this process's daemons."""
    return [pid for pid in children(os.getpid()) if "guard_process" in group(pid).get(pid, "")]


async def first(source: ShardSource) -> RecordBatch:
    (batch,) = await take(source, 1, complete=False)
    return batch


async def failure_of(source: KclSource, within: float = 60) -> FaustKinesisError:
    await eventually(lambda: source.failure is not None, within=within)
    with pytest.raises(FaustKinesisError) as raised:
        await source.next_batch(0)
    assert raised.value is source.failure
    return raised.value


@pytest.mark.parametrize("victim", ["java", "pipe_process", "guard_process"])
async def test_when_a_process_of_the_daemon_dies_the_source_fails_and_the_rest_is_killed(
    stream: Stream, make_kcl: MakeKcl, lease: GetLease, victim: str
) -> None:
    stream.create(1)
    stream.put("1", key="k")
    source = await make_kcl()
    batch = await first(source)
    (leader,) = daemons()
    os.kill(one(group(leader), victim), signal.SIGKILL)
    error = await failure_of(source)
    assert isinstance(error, DaemonError)
    wait_until_gone(leader)
    batch.complete()
    assert lease(batch.shard_id).checkpoint == TRIM_HORIZON


async def test_a_java_that_hangs_is_noticed_and_killed(stream: Stream, make_kcl: MakeKcl) -> None:
    stream.create(1)
    stream.put("1", key="k")
    source = await make_kcl(daemon_timeout=4.0)
    (await first(source)).complete()
    await asyncio.sleep(5)  # an idle Java shows signs of life
    assert source.failure is None
    (leader,) = daemons()
    os.kill(one(group(leader), "java"), signal.SIGSTOP)
    error = await failure_of(source)
    assert isinstance(error, DaemonError)
    assert "no sign of life" in str(error)
    wait_until_gone(leader)


async def test_an_agent_that_hangs_ends_the_source_without_a_checkpoint(
    stream: Stream, make_kcl: MakeKcl, lease: GetLease
) -> None:
    stream.create(1)
    stream.put("1", key="k")
    source = await make_kcl(batch_timeout=3.0)
    batch = await first(source)
    (leader,) = daemons()
    assert isinstance(await failure_of(source), AgentHungError)
    wait_until_gone(leader)
    assert lease(batch.shard_id).checkpoint == TRIM_HORIZON


DEAF = """
import os, socket, sys, threading, time
worker = socket.socket(socket.AF_UNIX)
worker.connect(sys.argv[1])
def pass_answers():
    while answer := worker.recv(65536):
        os.write(1, answer)
threading.Thread(target=pass_answers, daemon=True).start()
asked = 0
while asked < 3:
    line = sys.stdin.buffer.readline()
    asked += b"processRecords" in line
    worker.sendall(line)
worker.shutdown(socket.SHUT_RDWR)
time.sleep(120)
"""

POLLUTING = """
import os, runpy, sys
os.write(1, {noise!r})
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def polluting(noise: bytes) -> list[str]:
    pipe = Path(__file__).parents[3] / "faust_kinesis" / "kcl" / "processes" / "pipe_process.py"
    return [sys.executable, "-c", POLLUTING.format(noise=noise), str(pipe)]


async def test_lines_of_noise_on_a_childs_output_are_passed_over_and_told(
    stream: Stream, make_kcl: MakeKcl, caplog: pytest.LogCaptureFixture
) -> None:
    stream.create(1)
    stream.put("1", key="k")
    source = await make_kcl(child=polluting(b"secret noise\n"))
    (await first(source)).complete()
    assert source.failure is None
    told = [line.getMessage() for line in caplog.records if "unexpected line" in line.getMessage()]
    assert told
    assert "secret" not in caplog.text


async def test_an_answer_lost_in_noise_ends_the_source(stream: Stream, make_kcl: MakeKcl) -> None:
    stream.create(1)
    source = await make_kcl(child=polluting(b"noise without an end "), batch_timeout=2.0)
    error = await failure_of(source)
    assert isinstance(error, DaemonError)
    assert "Timedout" in str(error)


async def test_a_child_that_answers_wrongly_ends_the_source(stream: Stream, make_kcl: MakeKcl) -> None:
    stream.create(1)
    wrong = 'import sys; sys.stdin.readline(); print(\'{"action":"status","responseFor":"dance"}\', flush=True)'
    source = await make_kcl(child=[sys.executable, "-c", wrong], stop_timeout=3.0)
    error = await failure_of(source)
    assert isinstance(error, DaemonError)
    assert "exit code 1" in str(error)


@pytest.mark.parametrize("breaks", ["a checkpoint error", "the socket"])
async def test_what_breaks_one_shard_ends_the_source(stream: Stream, make_kcl: MakeKcl, breaks: str) -> None:
    stream.create(1)
    stream.put("1", key="k")
    # A child that lives on, and lets go of the socket, breaks it alone.
    source = await make_kcl(child=[sys.executable, "-c", DEAF] if breaks == "the socket" else None)
    (await first(source)).complete()
    (leader,) = daemons()
    if breaks == "a checkpoint error":
        members = group(leader)
        socket = members[one(members, "pipe_process")].split()[-1]
        reader, writer = await asyncio.open_unix_connection(socket)
        record = {"data": "AA==", "partitionKey": "k", "sequenceNumber": "9"}
        for message in (
            {"action": "initialize", "shardId": "shardId-9", "sequenceNumber": "1"},
            {"action": "processRecords", "records": [record], "millisBehindLatest": 0},
        ):
            writer.write(json.dumps(message).encode() + b"\n")
            await reader.readline()
        while (batch := await first(source)).shard_id != "shardId-9":
            batch.complete()
        batch.complete()
        writer.write(b'{"action": "processRecords", "records": [], "millisBehindLatest": 0}\n')
        assert json.loads(await reader.readline())["action"] == "checkpoint"
        writer.write(b'{"action": "checkpoint", "sequenceNumber": "9", "error": "InvalidStateException"}\n')
        assert "refused to checkpoint shard shardId-9 at 9: InvalidState" in str(await failure_of(source))
        writer.close()
    assert isinstance(await failure_of(source), DaemonError)
    wait_until_gone(leader)


async def test_leases_go_from_one_source_to_the_other_and_back(
    stream: Stream,
    make_kcl: MakeKcl,
    lease: GetLease,
    kinesis: "KinesisClient",
    dynamodb: "DynamoDBClient",
    application: str,
) -> None:
    options = KinesisOptions(application=application, worker_id="p1", poll_interval=0.2, start="latest")
    stream.create(1)
    stream.put("before", key="k")
    await next_second(2)  # a start at the end is one from the last second on, in whole seconds

    async def polling() -> PollingSource:
        source = PollingSource(stream.name, options, kinesis=kinesis, dynamodb=dynamodb)
        await source.start()
        return source

    async def taken(source: ShardSource) -> str:
        batch = await first(source)
        batch.complete()
        await source.stop()
        stored = lease(batch.shard_id)
        assert (stored.checkpoint, stored.owner) == (batch.records[-1].sequence_number, None)
        return ",".join(record.data.decode() for record in batch.records)

    starting = await polling()
    await eventually(lambda: any(shard.millis_behind_latest is not None for shard in starting.status()))
    await starting.stop()
    stream.put("1", key="k")
    assert await taken(await make_kcl()) == "1"  # not "before": a lease at LATEST keeps its moment
    stream.put("2", key="k")
    assert await taken(await polling()) == "2"
    stream.put("3", key="k")
    assert await taken(await make_kcl()) == "3"
