"""What waits for the one reader, and how the reader waits for it."""

import asyncio
from typing import cast

import pytest

from faust_kinesis.errors import StreamGoneError
from faust_kinesis.ready_batches import ReadyBatches
from faust_kinesis.records import RecordBatch

ONE, TWO = (cast("RecordBatch", object()) for _ in range(2))
FAILURE = StreamGoneError("it is gone")


async def waits(ready: ReadyBatches) -> bool:
    """Whether a reader is still waiting after a moment in which the event loop goes on."""
    reader = asyncio.create_task(ready.next(60))
    await asyncio.sleep(0.01)
    reader.cancel()
    (ended,) = await asyncio.gather(reader, return_exceptions=True)
    return isinstance(ended, asyncio.CancelledError)


async def test_batches_come_in_order_and_then_the_reader_waits() -> None:
    ready = ReadyBatches()
    ready.add(ONE, "a")
    ready.add(TWO, "b")
    assert [await ready.next(0), await ready.next(0)] == [ONE, TWO]
    assert await waits(ready)
    assert await ready.next(0.01) is None


async def test_a_reader_that_waits_is_woken_by_a_batch_and_by_a_failure() -> None:
    ready = ReadyBatches()
    reader = asyncio.create_task(ready.next(60))
    await asyncio.sleep(0)
    ready.add(ONE, "a")
    assert await reader is ONE
    reader = asyncio.create_task(ready.next(60))
    await asyncio.sleep(0)
    ready.fail(FAILURE)
    with pytest.raises(StreamGoneError):
        await reader


async def test_what_its_owner_withdraws_is_not_handed_out() -> None:
    ready = ReadyBatches()
    ready.add(ONE, "a")
    ready.add(TWO, "b")
    ready.withdraw("a")
    assert await ready.next(0) is TWO


async def test_closed_it_hands_out_nothing_and_keeps_no_event_loop_busy() -> None:
    ready = ReadyBatches()
    ready.add(ONE, "a")
    ready.close()
    assert await waits(ready)
    assert await ready.next(0.01) is None


async def test_the_first_failure_is_the_readers_whatever_waits() -> None:
    ready = ReadyBatches()
    ready.add(ONE, "a")
    ready.fail(FAILURE)
    ready.fail(StreamGoneError("another"))
    with pytest.raises(StreamGoneError, match="it is gone"):
        await ready.next(0)
