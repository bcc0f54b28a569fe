"""Where a tail of the table's stream begins, by a scripted stream: old shards, shards that are slow to answer."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from faust_kinesis.leases.table import LATEST, TRIM_HORIZON
from faust_kinesis.leases.topology import Shard
from ledger.errors import TransientError
from stream_bridge.dynamodb_stream import StreamDescription, TablePage, TableShardReader, TableStream
from stream_bridge.watch import followers
from stream_bridge.watch.followers import MARGIN, TableTail
from stream_bridge.watch.reconciler import Key
from stream_bridge.watch.watermark import Watermark
from tests.support.waiting import eventually

ARN = "arn:aws:dynamodb:us-east-1:000000000000:table/t/stream/2026-01-01T00:00:00.000"
HOUR = timedelta(hours=1)


@dataclass
class ScriptedShard:
    """``records``: number and time of each event of account ``a``."""

    records: list[tuple[int, datetime]] = field(default_factory=list)
    is_open: bool = True
    answers: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.answers.set()


class ScriptedStream(TableStream):
    """A table's stream. ``asked``: the shards that were read, and from where."""

    def __init__(self, shards: Mapping[str, ScriptedShard]) -> None:
        self.shards = dict(shards)
        self.asked: dict[str, str] = {}
        self.arn = ARN

    async def describe(self) -> StreamDescription:
        found = {name: Shard(name, is_open=shard.is_open) for name, shard in self.shards.items()}
        return StreamDescription(self.arn, self.arn[-23:], "ENABLED", found)

    def reader(self, stream: StreamDescription, shard_id: str, checkpoint: str) -> TableShardReader:
        self.asked[shard_id] = checkpoint
        return cast("TableShardReader", ScriptedReader(self.shards[shard_id], checkpoint))


class ScriptedReader:
    """Reads a scripted shard, a record a page."""

    def __init__(self, shard: ScriptedShard, checkpoint: str) -> None:
        self._shard = shard
        self._at = {LATEST: len(shard.records), TRIM_HORIZON: 0}.get(checkpoint)
        if self._at is None:
            self._at = [number for number, _ in shard.records].index(int(checkpoint)) + 1

    async def next_page(self) -> TablePage:
        await self._shard.answers.wait()
        assert self._at is not None
        page = [record(*each) for each in self._shard.records[self._at : self._at + 1]]
        self._at += len(page)
        return TablePage(page, last=not self._shard.is_open and self._at == len(self._shard.records))


def record(number: int, at: datetime) -> Any:
    keys = {"aggregateId": {"S": "a"}, "sequenceNumber": {"N": str(number)}}
    change = {"Keys": keys, "SequenceNumber": str(number), "ApproximateCreationDateTime": at}
    return {"eventName": "INSERT", "dynamodb": change}


@dataclass
class Watching:
    """What a tail said."""

    taken: list[Key] = field(default_factory=list)
    begun: list[Watermark] = field(default_factory=list)
    lost: list[datetime] = field(default_factory=list)


Tail = Callable[..., Any]


@pytest.fixture
def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
def watching(monkeypatch: pytest.MonkeyPatch) -> tuple[Watching, Tail]:
    """What a tail says, and the way to run one."""
    monkeypatch.setattr(followers, "_SYNC", 0.02)
    said = Watching()

    async def begins(watermark: Watermark) -> None:
        said.begun.append(watermark)

    @asynccontextmanager
    async def run(stream: TableStream, watermark: Watermark | None = None) -> AsyncIterator[TableTail]:
        tail = TableTail(stream, said.taken.extend, begins, said.lost.append, lambda: False, watermark, 0.01)
        running = asyncio.create_task(tail.run())
        yield tail
        running.cancel()
        await asyncio.wait([running])

    return said, run


def moment(tail: TableTail) -> datetime:
    watermark = tail.watermark()
    assert watermark is not None
    return watermark.moment


async def test_a_first_tail_begins_at_the_tip_and_passes_over_all_that_was_before(
    watching: tuple[Watching, Tail], now: datetime
) -> None:
    said, run = watching
    stream = ScriptedStream(
        {
            "closed": ScriptedShard([(1, now - 20 * HOUR), (2, now - 19 * HOUR)], is_open=False),
            "tip": ScriptedShard([(3, now - HOUR), (4, now)]),
        }
    )
    async with run(stream) as tail:
        await eventually(lambda: tail.following)
        assert moment(tail) >= now - MARGIN, "not when the oldest record was made"
        stream.shards["tip"].records.append((5, now))
        stream.shards["child"] = ScriptedShard([(6, now - HOUR)])  # whatever AWS's clock says: it is a new shard
        await eventually(lambda: len(said.taken) == 2)
        assert sorted(said.taken) == [("a", 5, ""), ("a", 6, "")]
        (begun,) = said.begun
        assert (begun.stream_arn, begun.positions) == (ARN, {"tip": None})
        assert tail.watermark() == Watermark(moment(tail), ARN, {"closed": "2", "tip": "5", "child": "6"})


async def test_what_resumes_from_a_first_watermark_takes_all_that_came_after_it(
    watching: tuple[Watching, Tail], now: datetime
) -> None:
    said, run = watching
    stream = ScriptedStream({"tip": ScriptedShard([(1, now - HOUR)])})
    async with run(stream) as tail:
        await eventually(lambda: tail.following)
    (begun,) = said.begun
    stream.shards["tip"].records += [(2, now), (3, now)]
    async with run(stream, begun):
        await eventually(lambda: len(said.taken) == 2)
    assert said.taken == [("a", 2, ""), ("a", 3, "")]
    stream.arn = f"{ARN}-after"
    async with run(stream, begun):
        await eventually(lambda: said.lost == [begun.moment - MARGIN])
    assert said.begun == [begun]


async def test_nothing_is_read_before_the_first_watermark_is_saved(watching: tuple[Watching, Tail]) -> None:
    said, _ = watching
    stream = ScriptedStream({"tip": ScriptedShard()})

    async def refused(_: Watermark) -> None:
        raise TransientError("no answer")

    tail = TableTail(stream, said.taken.extend, refused, said.lost.append, lambda: False, None, 0.01)
    with pytest.raises(TransientError):
        await tail.run()
    assert (stream.asked, tail.watermark(), tail.following) == ({}, None, False)


async def test_it_follows_once_each_shard_has_been_read(watching: tuple[Watching, Tail], now: datetime) -> None:
    _, run = watching
    stream = ScriptedStream({"one": ScriptedShard(), "two": ScriptedShard()})
    stream.shards["two"].answers.clear()
    async with run(stream) as tail:
        await eventually(lambda: stream.asked == {"one": LATEST, "two": LATEST})
        stream.shards["one"].records.append((1, now))
        await eventually(lambda: (tail.watermark() or Watermark(now)).positions == {"one": "1", "two": None})
        assert not tail.following
        stream.shards["two"].answers.set()
        await eventually(lambda: tail.following)


async def test_a_known_position_counts_more_than_a_time(watching: tuple[Watching, Tail], now: datetime) -> None:
    said, run = watching
    stream = ScriptedStream({"tip": ScriptedShard([(1, now - HOUR), (2, now - HOUR), (3, now)])})
    watermark = Watermark(now, ARN, {"tip": "1"})
    async with run(stream, watermark) as tail:
        await eventually(lambda: len(said.taken) == 2)
        assert moment(tail) >= now - MARGIN, "a watermark never goes back"
    assert (said.taken, said.begun) == ([("a", 2, ""), ("a", 3, "")], [])
    async with run(stream, replace(watermark, positions={"tip": None})):
        await eventually(lambda: len(said.taken) == 3)
    assert said.taken[2:] == [("a", 3, "")]


@pytest.mark.parametrize(("hours", "lost"), [(23, False), (25, True)])
async def test_a_tail_that_was_away_for_longer_than_the_stream_keeps_has_lost_something(
    watching: tuple[Watching, Tail], hours: int, lost: bool, now: datetime
) -> None:
    said, run = watching
    # No shard of the watermark is listed any more: nothing that is read shows that something is missing.
    stream = ScriptedStream({"younger": ScriptedShard([(8, now - HOUR)])})
    watermark = Watermark(now - hours * HOUR, ARN, {"gone": "7"})
    async with run(stream, watermark) as tail:
        await eventually(lambda: said.taken == [("a", 8, "")] and tail.following)
    assert said.lost == [watermark.moment - MARGIN] * lost
