"""What every ShardSource promises, on a real endpoint."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from botocore.exceptions import ReadTimeoutError

from faust_kinesis.errors import LeaseLostError, LeasesHeldError
from faust_kinesis.kcl.coordination_tables import CoordinationTables
from faust_kinesis.leases.checkpoint_tracker import SHARD_END
from faust_kinesis.leases.reset import reset_leases
from faust_kinesis.leases.table import AT_TIMESTAMP, LATEST, TRIM_HORIZON, Lease, LeaseTable
from faust_kinesis.options import StartingPosition
from faust_kinesis.records import RecordBatch
from faust_kinesis.source import ShardSource
from tests.integration.faust_kinesis.conftest import MakeSource
from tests.support.aws.stream import Stream

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_kinesis import KinesisClient

pytestmark = pytest.mark.integration

GetLease = Callable[[str], Lease]

#: For what the polling source promises of its own, and KCL does not.
only_polling = pytest.mark.parametrize("kind", ["polling"], indirect=True)


def texts(*batches: RecordBatch) -> list[str]:
    return [record.data.decode() for batch in batches for record in batch.records]


async def take(source: ShardSource, records: int, *, complete: bool = True, within: float = 120.0) -> list[RecordBatch]:
    """Batches until there are that many records."""
    batches: list[RecordBatch] = []
    deadline = time.monotonic() + within
    while sum(len(batch.records) for batch in batches) < records:
        assert time.monotonic() < deadline, f"only {texts(*batches)} after {within} s"
        batch = await source.next_batch(0.5)
        if batch is not None:
            batches.append(batch)
            if complete:
                batch.complete()
    return batches


async def nothing(source: ShardSource, seconds: float = 1.0) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert await source.next_batch(0.2) is None


async def until(true: Callable[[], bool], within: float = 120.0) -> None:
    deadline = time.monotonic() + within
    while not await asyncio.to_thread(true):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.1)


def skip_where_kcl_learns_of_no_children(kind: str, *, keeps_parents: bool) -> None:
    if kind == "kcl" and not keeps_parents:
        pytest.skip("the endpoint drops a split shard at once, and with it the end that tells KCL of its children")


async def test_every_record_comes_and_in_its_shards_order(stream: Stream, make_source: MakeSource) -> None:
    stream.create(2)
    sent = stream.put_many(1500)
    source = await make_source(batch_size=100)
    batches = await take(source, len(sent))
    by_shard: dict[str, list[int]] = defaultdict(list)
    for batch in batches:
        assert 0 < len(batch.records) <= 100
        assert all(record.arrived_at.tzinfo is UTC for record in batch.records)
        by_shard[batch.shard_id] += [int(record.sequence_number) for record in batch.records]
    assert sorted(texts(*batches)) == sent
    assert len(by_shard) == 2
    assert all(numbers == sorted(numbers) for numbers in by_shard.values())


async def test_no_checkpoint_before_completion_and_none_past_a_gap(
    stream: Stream, make_source: MakeSource, lease: GetLease
) -> None:
    stream.create(1)
    stream.put("1", "2", "3", key="k")
    source = await make_source(batch_size=1, buffer_batches=3)
    first, second, third = await take(source, 3, complete=False)
    key = first.shard_id
    third.complete()
    second.complete()
    await asyncio.sleep(1.0)
    assert lease(key).checkpoint == TRIM_HORIZON
    first.complete()
    await until(lambda: lease(key).checkpoint == third.records[-1].sequence_number)


async def test_no_more_batches_are_out_than_allowed(stream: Stream, make_source: MakeSource) -> None:
    stream.create(1)
    stream.put(*"12345", key="k")
    source = await make_source(batch_size=1, buffer_batches=2)
    first, _ = await take(source, 2, complete=False)
    await nothing(source)
    assert [status.pending_batches for status in source.status()] == [2]
    first.complete()
    assert texts(*await take(source, 1, complete=False)) == ["3"]


async def test_a_stop_checkpoints_and_releases_and_the_next_goes_on(
    stream: Stream, make_source: MakeSource, lease: GetLease
) -> None:
    stream.create(1)
    stream.put("1", "2", "3", key="k")
    source = await make_source(batch_size=1, checkpoint_interval=60.0, buffer_batches=3)
    first, second, third = await take(source, 3, complete=False)
    first.complete()
    await asyncio.sleep(0.5)
    second.complete()
    await source.stop()
    await source.stop()
    stored = lease(first.shard_id)
    assert (stored.checkpoint, stored.owner) == (second.records[-1].sequence_number, None)
    third.complete()  # too late, and harmless
    again = await make_source(worker_id="w2")
    assert texts(*await take(again, 1)) == ["3"]


async def test_an_abort_leaves_everything_as_it_is(
    stream: Stream, make_source: MakeSource, lease: GetLease, kind: str
) -> None:
    stream.create(1)
    stream.put("1", key="k")
    source = await make_source(checkpoint_interval=60.0)
    (batch,) = await take(source, 1, complete=False)
    await source.abort()
    batch.complete()
    stored = lease(batch.shard_id)
    assert (stored.checkpoint, stored.owner) == (TRIM_HORIZON, "w1")
    again = await make_source()  # its own lease: at once
    started = time.monotonic()
    assert texts(*await take(again, 1)) == ["1"]
    assert time.monotonic() - started < (15.0 if kind == "kcl" else 2.0)


async def test_stop_fetching_hands_out_nothing_more_and_still_checkpoints(
    stream: Stream, make_source: MakeSource, lease: GetLease
) -> None:
    stream.create(1)
    stream.put("1", "2", key="k")
    source = await make_source(batch_size=1)
    (batch,) = await take(source, 1, complete=False)
    source.stop_fetching()
    stream.put("3", key="k")
    await nothing(source)
    batch.complete()
    await until(lambda: lease(batch.shard_id).checkpoint == batch.records[-1].sequence_number)


async def test_latest_starts_at_the_end_and_restarts_without_a_gap(
    stream: Stream, make_source: MakeSource, lease: GetLease
) -> None:
    stream.create(1)
    stream.put("before", key="k")
    await asyncio.sleep(2.1)  # a restart goes back to the first start's second
    source = await make_source(start="latest")
    await until(lambda: bool(source.status()) and source.status()[0].last_polled_at is not None)
    await source.stop()
    # KCL would start anew at LATEST, so it is given the moment instead.
    assert lease(stream.shard_ids()[0]).checkpoint in {LATEST, AT_TIMESTAMP}
    stream.put("meanwhile", key="k")
    again = await make_source(start="latest")
    stream.put("after", key="k")
    assert texts(*await take(again, 2)) == ["meanwhile", "after"]


async def test_a_time_starts_there(stream: Stream, make_source: MakeSource, lease: GetLease) -> None:
    stream.create(1)
    stream.put("before", key="k")
    await asyncio.sleep(2.1)
    moment = datetime.now(UTC)
    await asyncio.sleep(1.1)
    stream.put("after", key="k")
    source = await make_source(start=moment)
    (batch,) = await take(source, 1, complete=False)
    assert texts(batch) == ["after"]
    stored = lease(batch.shard_id)
    assert stored.checkpoint == AT_TIMESTAMP
    assert stored.start_at is not None
    assert abs((stored.start_at - moment).total_seconds()) < 0.002


async def test_children_of_a_split_come_after_their_parent(
    stream: Stream, make_source: MakeSource, keeps_parents: bool, kind: str
) -> None:
    skip_where_kcl_learns_of_no_children(kind, keeps_parents=keeps_parents)
    stream.create(1)
    (parent,) = stream.shard_ids()
    source = await make_source(start="latest")
    await until(lambda: bool(source.status()) and source.status()[0].last_polled_at is not None)
    stream.put(*"abcdef")
    held = await take(source, 6, complete=not keeps_parents)
    if not keeps_parents:
        await until(lambda: source.status()[0].pending_batches == 0)
    await asyncio.to_thread(stream.split, parent)
    stream.put(*"uvwxyz")
    if keeps_parents:
        await nothing(source, 2.5)
    for batch in held:
        batch.complete()
    children = await take(source, 6)
    assert sorted(texts(*children)) == list("uvwxyz")
    assert {batch.shard_id for batch in held} == {parent}
    assert parent not in {batch.shard_id for batch in children}


async def test_the_child_of_a_merge_waits_for_both_parents(
    stream: Stream, make_source: MakeSource, lease: GetLease, keeps_parents: bool, kind: str
) -> None:
    skip_where_kcl_learns_of_no_children(kind, keeps_parents=keeps_parents)
    stream.create(2)
    left, right = sorted(stream.shard_ids())
    source = await make_source()
    stream.put(*"abcdefgh")
    held = await take(source, 8, complete=not keeps_parents)
    await asyncio.to_thread(stream.merge, left, right)
    stream.put(*"xyz")
    if keeps_parents:
        for batch in held:
            if batch.shard_id == left:
                batch.complete()
        await until(lambda: lease(left).ended)
        assert lease(left).checkpoint == SHARD_END
        await nothing(source, 1.5)
        for batch in held:
            batch.complete()
    children = await take(source, 3)
    assert sorted(texts(*children)) == list("xyz")
    assert not {left, right} & {batch.shard_id for batch in children}
    assert lease(children[0].shard_id).parents == {left, right}


async def test_another_worker_takes_over_what_a_dead_one_left(
    stream: Stream,
    make_source: MakeSource,
    lease: GetLease,
    kind: str,
    dynamodb: "DynamoDBClient",
    application: str,
) -> None:
    stream.create(1)
    stream.put("1", "2", key="k")
    dead = await make_source(batch_size=1)
    (first,) = await take(dead, 1)
    await until(lambda: lease(first.shard_id).checkpoint == first.records[-1].sequence_number)
    standby = await make_source(worker_id="w2")
    await nothing(standby, 4.0)  # longer than the failover time: renewals keep it away
    await dead.abort()
    if kind == "kcl":  # the dead leader's lock would last two minutes
        assert await asyncio.to_thread(CoordinationTables(dynamodb, application).release_leadership, "w1")
    assert texts(*await take(standby, 1)) == ["2"]
    assert lease(first.shard_id).owner == "w2"


async def test_a_lost_lease_is_not_checkpointed_and_its_shard_stops(
    stream: Stream, make_source: MakeSource, lease: GetLease, lease_table: LeaseTable
) -> None:
    stream.create(2)
    stream.put(*"abcdef")
    source = await make_source(batch_size=1)
    held: dict[str, RecordBatch] = {}
    while len(held) < 2:  # one shard may be read to its end before the other's first record comes
        (batch,) = await take(source, 1, complete=False)
        if batch.shard_id in held:
            held[batch.shard_id].complete()
        held[batch.shard_id] = batch
    first, second = held.values()

    def steal() -> Lease:
        """Take the lease as it is now, whenever its owner has last renewed it."""
        while True:
            with suppress(LeaseLostError):
                return lease_table.take(lease(first.shard_id), "thief")

    async def hold(held: Lease) -> None:
        """Renew, as a living thief does: a silent one's lease is taken back."""
        while True:
            await asyncio.sleep(0.5)
            held = await asyncio.to_thread(lease_table.renew, held)

    holding = asyncio.create_task(hold(await asyncio.to_thread(steal)))
    first.complete()
    second.complete()
    await until(lambda: lease(second.shard_id).checkpoint == second.records[-1].sequence_number)
    await asyncio.sleep(0.5)
    assert lease(first.shard_id).owner == "thief"
    holding.cancel()
    assert lease(first.shard_id).checkpoint != first.records[-1].sequence_number
    assert source.failure is None


@only_polling
async def test_of_two_processes_with_one_worker_id_the_newer_reads(
    stream: Stream, make_source: MakeSource, lease: GetLease, caplog: pytest.LogCaptureFixture
) -> None:
    stream.create(1)
    older = await make_source()
    await until(lambda: bool(older.status()) and older.status()[0].last_polled_at is not None)
    newer = await make_source()
    await nothing(older, 5.0)
    stream.put("1", key="k")
    assert texts(*await take(newer, 1)) == ["1"]
    await nothing(older)
    lost = [line for line in caplog.records if getattr(line, "action", "") == "lease_lost"]
    assert len(lost) == 1


@only_polling
async def test_a_lease_write_whose_answer_was_lost_is_not_taken_for_a_lost_lease(
    stream: Stream, make_source: MakeSource, lease: GetLease, dynamodb: "DynamoDBClient"
) -> None:
    stream.create(1)
    stream.put("1", key="k")
    source = await make_source()
    (batch,) = await take(source, 1, complete=False)
    lose = iter([True])

    def lose_one_answer(**_: object) -> None:
        if next(lose, False):
            raise ReadTimeoutError(endpoint_url="test")

    dynamodb.meta.events.register("after-call.dynamodb.UpdateItem", lose_one_answer)
    batch.complete()
    await until(lambda: lease(batch.shard_id).checkpoint == batch.records[-1].sequence_number)
    stream.put("2", key="k")
    (second,) = await take(source, 1)
    await until(lambda: lease(batch.shard_id).checkpoint == second.records[-1].sequence_number)
    assert next(lose, None) is None


@only_polling
async def test_what_others_keep_in_a_lease_stays(
    stream: Stream, make_source: MakeSource, lease: GetLease, dynamodb: "DynamoDBClient", application: str
) -> None:
    stream.create(1)
    source = await make_source()
    await until(lambda: bool(source.status()) and source.status()[0].owner == "w1")
    key = stream.shard_ids()[0]
    dynamodb.update_item(
        TableName=application,
        Key={"leaseKey": {"S": key}},
        UpdateExpression="SET throughputKBps = :n, fromTheFuture = :s",
        ExpressionAttributeValues={":n": {"N": "12.5"}, ":s": {"S": "kept"}},
    )
    stream.put("1", key="k")
    (batch,) = await take(source, 1)
    await until(lambda: lease(key).checkpoint == batch.records[-1].sequence_number)
    await source.stop()
    row = dynamodb.get_item(TableName=application, Key={"leaseKey": {"S": key}}, ConsistentRead=True)["Item"]
    assert row["throughputKBps"]["N"] == "12.5"
    assert row["fromTheFuture"] == {"S": "kept"}
    assert "leaseOwner" not in row


async def test_a_stream_that_is_not_there_yet_is_waited_for(
    stream: Stream, make_source: MakeSource, caplog: pytest.LogCaptureFixture
) -> None:
    source = await make_source()
    await nothing(source, 1.5)
    assert source.failure is None
    assert any(getattr(line, "action", "") == "stream_awaited" for line in caplog.records)
    await asyncio.to_thread(stream.create, 1)
    stream.put("1", key="k")
    assert texts(*await take(source, 1)) == ["1"]


@only_polling
async def test_leases_are_reset_only_when_nobody_has_them(
    stream: Stream, make_source: MakeSource, kinesis: "KinesisClient", dynamodb: "DynamoDBClient", application: str
) -> None:
    def reset(start: StartingPosition, *, even_if_held: bool = False) -> list[Lease]:
        return reset_leases(
            kinesis=kinesis,
            dynamodb=dynamodb,
            stream=stream.name,
            application=application,
            start=start,
            even_if_held=even_if_held,
        )

    stream.create(2)
    stream.put(*"abcdef")
    source = await make_source()
    last = {batch.shard_id: batch.records[-1].sequence_number for batch in await take(source, 6)}
    await until(lambda: all(shard.checkpoint == last.get(shard.shard_id) for shard in source.status()))
    with pytest.raises(LeasesHeldError, match="w1 has shardId"):
        await asyncio.to_thread(reset, "trim-horizon")
    await source.abort()
    assert len(await asyncio.to_thread(lambda: reset("trim-horizon", even_if_held=True))) == 2
    again = await make_source()
    assert sorted(texts(*await take(again, 6))) == list("abcdef")
    await again.stop()
    await asyncio.sleep(1.1)
    moment = datetime.now(UTC)
    await asyncio.sleep(1.1)
    stream.put(*"xyz")
    await asyncio.to_thread(reset, moment)
    from_moment = await make_source()  # whatever its own start says
    assert sorted(texts(*await take(from_moment, 3))) == list("xyz")
