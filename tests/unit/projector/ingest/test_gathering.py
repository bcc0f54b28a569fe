"""Which batches are handled together."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from faust_kinesis.records import Record, RecordBatch
from projector.ingest import gathering
from projector.ingest.gathering import SAME_MOMENT, Gathering

Queue = asyncio.Queue[RecordBatch]


def batch(shard: int, *, behind: int = 0, records: int = 1) -> RecordBatch:
    record = Record(b"", "pk", "1", datetime.now(UTC))
    return RecordBatch("stream", f"shard-{shard}", (record,) * records, behind)


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds for which something was waited for."""
    found: list[float] = []

    async def sleep(seconds: float) -> None:
        found.append(seconds)

    monkeypatch.setattr(gathering.asyncio, "sleep", sleep)  # type: ignore[attr-defined]
    return found


def handled(gathered: Gathering, *batches: RecordBatch) -> list[list[str]]:
    """The shards of what is handled together, where the batches wait one behind the other."""

    async def run() -> list[list[str]]:
        waiting: Queue = asyncio.Queue()
        for each in batches:
            waiting.put_nowait(each)
        found = []
        while not waiting.empty():
            if together := await gathered.add(waiting.get_nowait(), waiting):
                found.append([each.shard_id for each in together])
        return found

    return asyncio.run(run())


def test_what_waits_is_handled_together(pauses: list[float]) -> None:
    gathered = Gathering(same_moment=False)
    assert handled(gathered, batch(1), batch(2), batch(1)) == [["shard-1", "shard-2", "shard-1"]]
    assert handled(gathered, batch(3)) == [["shard-3"]]
    assert not pauses


def test_a_batch_of_the_same_moment_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> list[list[str]]:
        waiting: Queue = asyncio.Queue()
        late = [batch(2), batch(3)]

        async def sleep(seconds: float) -> None:
            assert seconds == SAME_MOMENT
            if late:
                waiting.put_nowait(late.pop(0))

        monkeypatch.setattr(gathering.asyncio, "sleep", sleep)  # type: ignore[attr-defined]
        gathered = Gathering(same_moment=True)
        # One shard only, so far: nothing else is expected.
        found = [await gathered.add(batch(1), waiting), await gathered.add(batch(2), waiting)]
        while not waiting.empty():
            found.append(await gathered.add(waiting.get_nowait(), waiting))
        return [[each.shard_id for each in together] for together in found]

    assert asyncio.run(run()) == [["shard-1"], [], [], ["shard-2", "shard-2", "shard-3"]]


@pytest.mark.parametrize(
    ("same_moment", "make"),
    [
        (False, lambda shard: batch(shard)),
        (True, lambda shard: batch(1)),
        (True, lambda shard: batch(shard, behind=2000)),
    ],
    ids=["each shard is read at its own pace", "one shard", "behind"],
)
def test_nothing_is_waited_for_where_that_gains_nothing(
    same_moment: bool, make: Callable[[int], Any], pauses: list[float]
) -> None:
    gathered = Gathering(same_moment=same_moment)
    for shard in (1, 2, 3):
        assert len(handled(gathered, make(shard))) == 1
    assert not pauses


def test_no_more_is_collected_than_memory_takes(pauses: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathering, "MAX_TOGETHER", 10)
    batches = [batch(1 + number % 2, records=4) for number in range(7)]
    assert [len(each) for each in handled(Gathering(same_moment=True), *batches)] == [3, 3, 1]
    assert pauses == [SAME_MOMENT]
