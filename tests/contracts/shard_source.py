"""What every ShardSource promises, on a real endpoint; for whoever writes another source.

A suite is a subclass, ``class TestMine(ShardSourceContract)``, with ``source_type`` and ``features``, in a folder with
the fixtures of tests/integration/faust_kinesis/conftest.py.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import pytest
from botocore.exceptions import ReadTimeoutError

from faust_kinesis.errors import LeaseLostError
from faust_kinesis.kcl.coordination.tables import CoordinationTables
from faust_kinesis.leases.checkpoint_tracker import SHARD_END
from faust_kinesis.leases.table import AT_TIMESTAMP, LATEST, TRIM_HORIZON, Lease, LeaseTable
from faust_kinesis.records import RecordBatch
from faust_kinesis.source import ShardSource
from tests.support.aws.stream import Stream
from tests.support.sources import MakeSource, nothing, sources, take, texts
from tests.support.waiting import eventually, next_second

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_kinesis import KinesisClient

GetLease = Callable[[str], Lease]
Test = TypeVar("Test", bound=Callable[..., Any])

#: A Java that has just been started may take its time.
patiently = partial(eventually, blocking=True)


@dataclass(frozen=True)
class Features:
    """What tells a source apart from others."""

    #: Leases are assigned by a leader, whose lock outlives it.
    leader_lock: bool = False
    #: Children of a shard are learnt of at its end, and never where the endpoint forgets an ended shard.
    needs_ended_parents: bool = False
    #: It writes the leases itself, in this process, and not by a daemon.
    writes_leases_here: bool = True
    #: Of two processes with one worker id the one that was started last has the leases.
    newest_process_reads: bool = True


def promised_by(feature: str) -> Callable[[Test], Test]:
    """Mark a test as one for sources with a feature."""

    def mark(test: Test) -> Test:
        test.__dict__["promised_by"] = feature
        return test

    return mark


def logged(caplog: pytest.LogCaptureFixture, action: str) -> list[Any]:
    return [line for line in list(caplog.records) if getattr(line, "action", "") == action]


@pytest.mark.integration
class ShardSourceContract:
    """The suite."""

    source_type: ClassVar[Callable[..., ShardSource]]
    features: ClassVar[Features]

    def __init_subclass__(cls) -> None:
        """Leave out the tests of what the source does not promise."""
        for name, test in vars(ShardSourceContract).items():
            feature = getattr(test, "promised_by", None)
            if feature is not None and not getattr(cls.features, feature):
                setattr(cls, name, None)

    @pytest.fixture
    async def make_source(
        self, kinesis: "KinesisClient", dynamodb: "DynamoDBClient", stream: Stream, application: str
    ) -> AsyncIterator[MakeSource]:
        make: MakeSource
        async with sources(type(self).source_type, stream.name, application, kinesis, dynamodb) as make:
            yield make

    def skip_where_children_stay_unknown(self, *, keeps_parents: bool) -> None:
        if self.features.needs_ended_parents and not keeps_parents:
            pytest.skip("the endpoint drops a split shard at once, and with it the end by which its children are known")

    async def test_every_record_comes_and_in_its_shards_order(self, stream: Stream, make_source: MakeSource) -> None:
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
        self, stream: Stream, make_source: MakeSource, lease: GetLease
    ) -> None:
        stream.create(1)
        stream.put("1", "2", "3", key="k")
        source = await make_source(batch_size=1, buffer_batches=3)
        first, second, third = await take(source, 3, complete=False)
        key = first.shard_id
        third.complete()
        second.complete()
        await asyncio.sleep(0.5)  # longer than a read, after which a checkpoint would be made
        assert lease(key).checkpoint == TRIM_HORIZON
        first.complete()
        await patiently(lambda: lease(key).checkpoint == third.records[-1].sequence_number)

    async def test_no_more_batches_are_out_than_allowed(self, stream: Stream, make_source: MakeSource) -> None:
        stream.create(1)
        stream.put(*"12345", key="k")
        source = await make_source(batch_size=1, buffer_batches=2)
        first, _ = await take(source, 2, complete=False)
        await nothing(source, 0.5)
        assert [status.pending_batches for status in source.status()] == [2]
        first.complete()
        assert texts(*await take(source, 1, complete=False)) == ["3"]

    async def test_a_stop_checkpoints_and_releases_and_the_next_goes_on(
        self, stream: Stream, make_source: MakeSource, lease: GetLease
    ) -> None:
        stream.create(1)
        stream.put("1", "2", "3", key="k")
        source = await make_source(batch_size=1, checkpoint_interval=60.0, buffer_batches=3)
        first, second, third = await take(source, 3, complete=False)
        first.complete()
        await patiently(lambda: lease(first.shard_id).checkpoint == first.records[-1].sequence_number)
        second.complete()
        await source.stop()
        await source.stop()
        stored = lease(first.shard_id)
        assert (stored.checkpoint, stored.owner) == (second.records[-1].sequence_number, None)
        third.complete()  # too late, and harmless
        again = await make_source(worker_id="w2")
        assert texts(*await take(again, 1)) == ["3"]

    async def test_an_abort_leaves_everything_as_it_is(
        self, stream: Stream, make_source: MakeSource, lease: GetLease
    ) -> None:
        stream.create(1)
        stream.put("1", key="k")
        source = await make_source(checkpoint_interval=60.0)
        (batch,) = await take(source, 1, complete=False)
        await source.abort()
        batch.complete()
        stored = lease(batch.shard_id)
        assert (stored.checkpoint, stored.owner) == (TRIM_HORIZON, "w1")
        again = await make_source(failover_time=3600.0)  # its own lease: it waits for no end of it
        assert texts(*await take(again, 1)) == ["1"]

    async def test_stop_fetching_hands_out_nothing_more_and_still_checkpoints(
        self, stream: Stream, make_source: MakeSource, lease: GetLease
    ) -> None:
        stream.create(1)
        stream.put("1", "2", key="k")
        source = await make_source(batch_size=1)
        (batch,) = await take(source, 1, complete=False)
        source.stop_fetching()
        stream.put("3", key="k")
        await nothing(source, 0.6)
        batch.complete()
        await patiently(lambda: lease(batch.shard_id).checkpoint == batch.records[-1].sequence_number)

    async def test_latest_starts_at_the_end_and_restarts_without_a_gap(
        self, stream: Stream, make_source: MakeSource, lease: GetLease
    ) -> None:
        stream.create(1)
        stream.put("before", key="k")
        await next_second(2)  # a start at the end is one from the last second on, in whole seconds
        source = await make_source(start="latest")
        await patiently(lambda: bool(source.status()) and source.status()[0].millis_behind_latest is not None)
        await source.stop()
        # KCL would start anew at LATEST, so it is given the moment instead.
        assert lease(stream.shard_ids()[0]).checkpoint in {LATEST, AT_TIMESTAMP}
        stream.put("meanwhile", key="k")
        again = await make_source(start="latest")
        stream.put("after", key="k")
        assert texts(*await take(again, 2)) == ["meanwhile", "after"]

    async def test_a_time_starts_there(self, stream: Stream, make_source: MakeSource, lease: GetLease) -> None:
        stream.create(1)
        stream.put("before", key="k")
        await next_second()
        moment = datetime.now(UTC)
        await next_second()
        stream.put("after", key="k")
        source = await make_source(start=moment)
        (batch,) = await take(source, 1, complete=False)
        assert texts(batch) == ["after"]
        stored = lease(batch.shard_id)
        assert stored.checkpoint == AT_TIMESTAMP
        assert stored.start_at is not None
        assert abs((stored.start_at - moment).total_seconds()) < 0.002

    async def test_children_of_a_split_come_after_their_parent(
        self, stream: Stream, make_source: MakeSource, keeps_parents: bool
    ) -> None:
        self.skip_where_children_stay_unknown(keeps_parents=keeps_parents)
        stream.create(1)
        (parent,) = stream.shard_ids()
        source = await make_source(start="latest", buffer_batches=6)  # each record may be a batch
        await patiently(lambda: bool(source.status()) and source.status()[0].millis_behind_latest is not None)
        stream.put(*"abcdef")
        held = await take(source, 6, complete=not keeps_parents)
        if not keeps_parents:
            await patiently(lambda: source.status()[0].pending_batches == 0)
        await asyncio.to_thread(stream.split, parent)
        stream.put(*"uvwxyz")
        if keeps_parents:
            await nothing(source, 1.5)  # longer than between two listings of the shards
        for batch in held:
            batch.complete()
        children = await take(source, 6)
        assert sorted(texts(*children)) == list("uvwxyz")
        assert {batch.shard_id for batch in held} == {parent}
        assert parent not in {batch.shard_id for batch in children}

    async def test_the_child_of_a_merge_waits_for_both_parents(
        self, stream: Stream, make_source: MakeSource, lease: GetLease, keeps_parents: bool
    ) -> None:
        self.skip_where_children_stay_unknown(keeps_parents=keeps_parents)
        stream.create(2)
        left, right = sorted(stream.shard_ids())
        source = await make_source(buffer_batches=8)  # each record may be a batch
        stream.put(*"abcdefgh")
        held = await take(source, 8, complete=not keeps_parents)
        await asyncio.to_thread(stream.merge, left, right)
        stream.put(*"xyz")
        if keeps_parents:
            for batch in held:
                if batch.shard_id == left:
                    batch.complete()
            await patiently(lambda: lease(left).ended)
            assert lease(left).checkpoint == SHARD_END
            await nothing(source, 1.5)
            for batch in held:
                batch.complete()
        children = await take(source, 3)
        assert sorted(texts(*children)) == list("xyz")
        assert not {left, right} & {batch.shard_id for batch in children}
        assert lease(children[0].shard_id).parents == {left, right}

    async def test_another_worker_takes_over_what_a_dead_one_left(
        self,
        stream: Stream,
        make_source: MakeSource,
        lease: GetLease,
        dynamodb: "DynamoDBClient",
        application: str,
    ) -> None:
        stream.create(1)
        stream.put("1", "2", key="k")
        dead = await make_source(batch_size=1, failover_time=3.0)
        (first,) = await take(dead, 1)
        await patiently(lambda: lease(first.shard_id).checkpoint == first.records[-1].sequence_number)
        standby = await make_source(worker_id="w2", failover_time=3.0)
        await nothing(standby, 4.0)  # longer than the failover time: renewals keep it away
        await dead.abort()
        if self.features.leader_lock:  # the dead leader's would last two minutes
            assert await asyncio.to_thread(CoordinationTables(dynamodb, application).release_leadership, "w1")
        assert texts(*await take(standby, 1)) == ["2"]
        assert lease(first.shard_id).owner == "w2"

    async def test_a_lost_lease_is_not_checkpointed_and_its_shard_stops(
        self, stream: Stream, make_source: MakeSource, lease: GetLease, lease_table: LeaseTable
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
        await patiently(lambda: lease(second.shard_id).checkpoint == second.records[-1].sequence_number)
        await asyncio.sleep(0.5)
        assert lease(first.shard_id).owner == "thief"
        holding.cancel()
        assert lease(first.shard_id).checkpoint != first.records[-1].sequence_number
        assert source.failure is None

    @promised_by("newest_process_reads")
    async def test_of_two_processes_with_one_worker_id_the_newer_reads(
        self, stream: Stream, make_source: MakeSource, lease: GetLease, caplog: pytest.LogCaptureFixture
    ) -> None:
        stream.create(1)
        older = await make_source(failover_time=3.0)
        await patiently(lambda: bool(older.status()) and older.status()[0].millis_behind_latest is not None)
        newer = await make_source(failover_time=3.0)
        await patiently(lambda: bool(logged(caplog, "lease_lost")))
        stream.put("1", key="k")
        assert texts(*await take(newer, 1)) == ["1"]
        await nothing(older, 4.0)  # longer than the failover time: it does not take it back
        assert len(logged(caplog, "lease_lost")) == 1

    @promised_by("writes_leases_here")
    async def test_a_lease_write_whose_answer_was_lost_is_not_taken_for_a_lost_lease(
        self,
        stream: Stream,
        make_source: MakeSource,
        lease: GetLease,
        dynamodb: "DynamoDBClient",
        caplog: pytest.LogCaptureFixture,
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
        await patiently(lambda: lease(batch.shard_id).checkpoint == batch.records[-1].sequence_number)
        stream.put("2", key="k")
        (second,) = await take(source, 1)
        await patiently(lambda: lease(batch.shard_id).checkpoint == second.records[-1].sequence_number)
        assert next(lose, None) is None
        assert not logged(caplog, "lease_lost")

    @promised_by("writes_leases_here")
    async def test_what_others_keep_in_a_lease_stays(
        self, stream: Stream, make_source: MakeSource, lease: GetLease, dynamodb: "DynamoDBClient", application: str
    ) -> None:
        stream.create(1)
        source = await make_source()
        await patiently(lambda: bool(source.status()) and source.status()[0].owner == "w1")
        key = stream.shard_ids()[0]
        dynamodb.update_item(
            TableName=application,
            Key={"leaseKey": {"S": key}},
            UpdateExpression="SET throughputKBps = :n, fromTheFuture = :s",
            ExpressionAttributeValues={":n": {"N": "12.5"}, ":s": {"S": "kept"}},
        )
        stream.put("1", key="k")
        (batch,) = await take(source, 1)
        await patiently(lambda: lease(key).checkpoint == batch.records[-1].sequence_number)
        await source.stop()
        row = dynamodb.get_item(TableName=application, Key={"leaseKey": {"S": key}}, ConsistentRead=True)["Item"]
        assert row["throughputKBps"]["N"] == "12.5"
        assert row["fromTheFuture"] == {"S": "kept"}
        assert "leaseOwner" not in row

    async def test_a_stream_that_is_not_there_yet_is_waited_for(
        self, stream: Stream, make_source: MakeSource, caplog: pytest.LogCaptureFixture
    ) -> None:
        source = await make_source()
        await patiently(lambda: bool(logged(caplog, "stream_awaited")))
        await nothing(source, 0.5)
        assert source.failure is None
        await asyncio.to_thread(stream.create, 1)
        stream.put("1", key="k")
        assert texts(*await take(source, 1)) == ["1"]
