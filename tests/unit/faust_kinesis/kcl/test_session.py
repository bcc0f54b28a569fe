"""A shard's turns with KCL: what is answered when, and what a checkpoint may name."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from faust_kinesis.errors import DaemonError
from faust_kinesis.kcl.session import Session
from faust_kinesis.options import KinesisOptions
from faust_kinesis.ready_batches import ReadyBatches
from faust_kinesis.records import RecordBatch


class Kcl(ReadyBatches):
    """KCL's side of the connection, and the source's side of the session."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        super().__init__()
        self.reader = reader
        self.writer = writer
        self.batches: list[RecordBatch] = []
        self.moves = 0
        self.session: Session
        self.run: asyncio.Task[None]

    def add(self, batch: RecordBatch, owner: object) -> None:
        assert owner is self.session
        self.batches.append(batch)

    def withdraw(self, owner: object) -> None:
        assert owner is self.session
        self.batches.clear()

    def moved(self) -> None:
        self.moves += 1

    def say(self, action: str, **fields: object) -> None:
        self.writer.write(json.dumps({"action": action, **fields}).encode() + b"\n")

    def deliver(self, *numbers: int) -> None:
        records = [
            {"data": "AA==", "partitionKey": "k", "sequenceNumber": str(n), "approximateArrivalTimestamp": 0}
            for n in numbers
        ]
        self.say("processRecords", records=records, millisBehindLatest=7)

    async def hear(self) -> dict[str, Any]:
        """What the session says next."""
        heard: dict[str, Any] = json.loads(await asyncio.wait_for(self.reader.readline(), 2))
        return heard

    async def hear_nothing(self, seconds: float = 0.1) -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(self.reader.read(1), seconds)

    async def hear_status(self, action: str) -> None:
        assert await self.hear() == {"action": "status", "responseFor": action}

    async def hear_checkpoint(self, number: str, error: str | None = None, sub: int = 0) -> None:
        heard = await self.hear()
        assert heard == {"action": "checkpoint", "sequenceNumber": number, "subSequenceNumber": sub}
        self.say("checkpoint", sequenceNumber=number, subSequenceNumber=sub, error=error)

    async def begin(self, checkpoint: str = "TRIM_HORIZON") -> None:
        self.say("initialize", shardId="s-0", sequenceNumber=checkpoint, subSequenceNumber=0)
        await self.hear_status("initialize")

    async def deliver_and_go_on(self, *numbers: int) -> RecordBatch:
        self.deliver(*numbers)
        await self.hear_status("processRecords")
        return self.batches[-1]

    async def broken(self, match: str) -> None:
        with pytest.raises(DaemonError, match=match):
            await asyncio.wait_for(self.run, 2)


Connect = Callable[..., Awaitable[Kcl]]


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    made: list[Kcl] = []

    async def make(**options: Any) -> Kcl:
        mine, its = socket.socketpair()
        kcl = Kcl(*await asyncio.open_connection(sock=mine))
        every = KinesisOptions(application="app", worker_id="w1", **{"checkpoint_interval": 0.0, **options})
        reader, writer = await asyncio.open_connection(sock=its)
        kcl.session = Session(reader, writer, stream="orders", options=every, ready=kcl, moved=kcl.moved)

        async def run() -> None:
            try:
                await kcl.session.run()
            finally:
                writer.close()

        kcl.run = asyncio.create_task(run())
        made.append(kcl)
        return kcl

    yield make
    for kcl in made:
        kcl.run.cancel()
        await asyncio.gather(kcl.run, return_exceptions=True)
        kcl.writer.close()
        await asyncio.gather(kcl.writer.wait_closed(), return_exceptions=True)


async def test_a_shard_that_is_begun_and_never_read_has_stood_still_since(connect: Connect) -> None:
    kcl = await connect()
    assert kcl.session.status().last_polled_at is None
    await kcl.begin()
    began = kcl.session.status().last_polled_at
    assert (began is not None, kcl.session.status().millis_behind_latest) == (True, None)
    await kcl.deliver_and_go_on(1)
    read = kcl.session.status()
    assert read.last_polled_at is not None
    assert began is not None
    assert (read.last_polled_at > began, read.millis_behind_latest) == (True, 7)


async def test_a_batch_is_handed_out_and_the_turn_given_back_before_it_is_complete(connect: Connect) -> None:
    kcl = await connect()
    await kcl.begin()
    batch = await kcl.deliver_and_go_on(1, 2)
    assert [record.sequence_number for record in batch.records] == ["1", "2"]
    assert (batch.shard_id, batch.millis_behind_latest) == ("s-0", 7)
    status = kcl.session.status()
    assert (status.pending_batches, status.checkpoint, status.owner) == (1, "TRIM_HORIZON", "w1")


async def test_a_checkpoint_names_the_completed_prefix_in_the_next_turn(connect: Connect) -> None:
    kcl = await connect(buffer_batches=4)
    await kcl.begin()
    first = await kcl.deliver_and_go_on(1, 2)
    second = await kcl.deliver_and_go_on(3)
    third = await kcl.deliver_and_go_on(4)
    third.complete()
    await kcl.deliver_and_go_on()
    second.complete()
    await kcl.deliver_and_go_on()
    first.complete()
    kcl.deliver()
    await kcl.hear_checkpoint("4")
    await kcl.hear_status("processRecords")
    await kcl.deliver_and_go_on()
    assert kcl.session.status().checkpoint == "4"


async def test_without_room_the_turn_is_kept_and_checkpoints_go_on(connect: Connect) -> None:
    kcl = await connect(buffer_batches=2)
    await kcl.begin()
    first = await kcl.deliver_and_go_on(1)
    await kcl.deliver_and_go_on(2)
    kcl.deliver(3)
    await kcl.hear_nothing()
    assert len(kcl.batches) == 2
    first.complete()
    await kcl.hear_checkpoint("1")
    await kcl.hear_status("processRecords")
    assert len(kcl.batches) == 3


async def test_checkpoints_keep_their_distance(connect: Connect) -> None:
    kcl = await connect(checkpoint_interval=60.0, buffer_batches=5)
    await kcl.begin()
    (await kcl.deliver_and_go_on(1)).complete()
    kcl.deliver()
    await kcl.hear_checkpoint("1")
    await kcl.hear_status("processRecords")
    (await kcl.deliver_and_go_on(2)).complete()
    await kcl.deliver_and_go_on()
    kcl.say("shutdownRequested")
    await kcl.hear_checkpoint("2")
    await kcl.hear_status("shutdownRequested")


async def test_the_end_of_a_shard_waits_for_every_batch(connect: Connect) -> None:
    kcl = await connect()
    await kcl.begin()
    first = await kcl.deliver_and_go_on(1)
    second = await kcl.deliver_and_go_on(2)
    kcl.say("shardEnded")
    second.complete()
    await kcl.hear_nothing()
    first.complete()
    await kcl.hear_checkpoint("SHARD_END")
    await kcl.hear_status("shardEnded")
    kcl.writer.write_eof()
    await asyncio.wait_for(kcl.run, 2)


async def test_the_end_of_a_shard_is_asked_for_until_it_is_stored(connect: Connect) -> None:
    kcl = await connect()
    await kcl.begin()
    kcl.say("shardEnded")
    await kcl.hear_checkpoint("SHARD_END", "ThrottlingException")
    await kcl.hear_checkpoint("SHARD_END")
    await kcl.hear_status("shardEnded")


async def test_before_a_shutdown_agents_finish_what_they_have(connect: Connect) -> None:
    kcl = await connect()
    await kcl.begin()
    batch = await kcl.deliver_and_go_on(1)
    kcl.say("shutdownRequested")
    await kcl.hear_nothing()
    batch.complete()
    await kcl.hear_checkpoint("1")
    await kcl.hear_status("shutdownRequested")
    kcl.say("leaseLost")
    await kcl.hear_status("leaseLost")
    kcl.writer.write_eof()
    await asyncio.wait_for(kcl.run, 2)


async def test_a_stop_waits_for_nobody_and_hands_out_nothing_more(connect: Connect) -> None:
    kcl = await connect(buffer_batches=2)
    await kcl.begin()
    first = await kcl.deliver_and_go_on(1)
    await kcl.deliver_and_go_on(2)
    kcl.session.stop_handing_out()
    kcl.deliver(3)
    first.complete()
    await kcl.hear_checkpoint("1")
    await kcl.hear_nothing()
    kcl.session.close()
    await kcl.hear_status("processRecords")
    assert len(kcl.batches) == 2
    kcl.say("shutdownRequested")
    await kcl.hear_status("shutdownRequested")


async def test_a_stop_at_the_end_of_a_shard_does_not_pretend(connect: Connect) -> None:
    kcl = await connect()
    await kcl.begin()
    await kcl.deliver_and_go_on(1)
    kcl.session.close()
    kcl.say("shardEnded")
    await kcl.hear_status("shardEnded")


async def test_a_lost_lease_is_no_failure_and_nothing_more_is_checkpointed(connect: Connect) -> None:
    kcl = await connect()
    await kcl.begin()
    first = await kcl.deliver_and_go_on(1)
    second = await kcl.deliver_and_go_on(2)
    first.complete()
    kcl.deliver()
    await kcl.hear_checkpoint("1", "ShutdownException")
    await kcl.hear_status("processRecords")
    assert kcl.batches == []
    second.complete()
    kcl.deliver(3)
    await kcl.hear_status("processRecords")
    kcl.say("leaseLost")
    await kcl.hear_status("leaseLost")
    assert (kcl.batches, kcl.session.status().checkpoint) == ([], "TRIM_HORIZON")


async def test_a_throttled_checkpoint_comes_again_in_a_later_turn(connect: Connect) -> None:
    kcl = await connect()
    await kcl.begin()
    (await kcl.deliver_and_go_on(1)).complete()
    kcl.deliver()
    await kcl.hear_checkpoint("1", "ThrottlingException")
    await kcl.hear_status("processRecords")
    kcl.deliver()
    await kcl.hear_checkpoint("1")
    await kcl.hear_status("processRecords")


async def test_another_checkpoint_error_breaks_the_session(connect: Connect) -> None:
    kcl = await connect()
    await kcl.begin()
    (await kcl.deliver_and_go_on(1)).complete()
    kcl.deliver()
    await kcl.hear_checkpoint("1", "IllegalArgumentException")
    await kcl.broken("refused to checkpoint shard s-0 at 1: IllegalArgumentException")


async def test_records_inside_a_record_have_their_own_place(connect: Connect) -> None:
    kcl = await connect()
    await kcl.begin("5")
    record = {"data": "AA==", "partitionKey": "k", "sequenceNumber": "5", "subSequenceNumber": 3}
    kcl.say("processRecords", records=[record], millisBehindLatest=0)
    await kcl.hear_status("processRecords")
    kcl.batches[-1].complete()
    kcl.deliver()
    await kcl.hear_checkpoint("5", sub=3)
    await kcl.hear_status("processRecords")


async def test_a_message_of_ten_megabytes_is_read(connect: Connect) -> None:
    kcl = await connect()
    kcl.session._reader._limit = 1 << 26  # type: ignore[attr-defined]  # what the source gives its server
    await kcl.begin()
    record = {"data": "A" * (14 << 20), "partitionKey": "k", "sequenceNumber": "1"}
    kcl.say("processRecords", records=[record], millisBehindLatest=0)
    await kcl.hear_status("processRecords")
    assert len(kcl.batches[-1].records[0].data) == (14 << 20) * 3 // 4


@pytest.mark.parametrize(
    ("said", "match"),
    [
        (b"what?\n", "no message"),
        (b'{"action": "dance"}\n', "dance"),
        (b'{"action": "checkpoint", "sequenceNumber": "1"}\n', "nobody asked for"),
        (b'{"action": "processRec', "no message"),
        (b"", "child process of shard s-0 ended"),
    ],
)
async def test_a_broken_protocol_or_connection_is_a_failure(connect: Connect, said: bytes, match: str) -> None:
    kcl = await connect()
    await kcl.begin()
    kcl.writer.write(said)
    kcl.writer.write_eof()
    await kcl.broken(match)


async def test_no_answer_to_a_checkpoint_is_a_failure(connect: Connect) -> None:
    kcl = await connect()
    await kcl.begin()
    (await kcl.deliver_and_go_on(1)).complete()
    kcl.deliver()
    assert (await kcl.hear())["action"] == "checkpoint"
    kcl.writer.write_eof()
    await kcl.broken("did not acknowledge the checkpoint 1")
