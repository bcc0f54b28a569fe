"""The watch on a table and a stream that nothing joins: what is missing is just what a test leaves out."""

import asyncio
import random
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from unittest.mock import Mock

import pytest

from aws_client.call_pool import CallPool
from ledger.errors import ResourceError
from ledger.runtime.aws import Clients
from ledger.store import resumable_job
from ledger.store.parallel_scan import Cursor
from ledger.store.resumable_job import JobHeartbeat
from ledger.store.stored_event import StoredEvent
from ledger.store.tables import Names
from stream_bridge.backfill.progress import BackfillJob, BackfillStore
from stream_bridge.backfill.publisher import Publisher
from stream_bridge.backfill.selection import Selection
from stream_bridge.dynamodb_stream import TableStream
from stream_bridge.provisioning.destination import DestinationState
from stream_bridge.watch import daemon as watch_module
from stream_bridge.watch.daemon import Watch, WatchOptions
from stream_bridge.watch.destination_health import BridgeObservation, Inspector
from stream_bridge.watch.followers import StreamTail, TableTail
from stream_bridge.watch.republish import Republisher
from stream_bridge.watch.watermark import Watermark, WatermarkStore
from tests.support.accounts import stored_event
from tests.support.waiting import eventually

pytestmark = pytest.mark.integration

Append = Callable[..., list[StoredEvent]]
OnStream = Callable[[], list[StoredEvent]]
Key = tuple[str, int]

OPTIONS = WatchOptions(interval=0.2, grace=2, poll=0.2)
ACTIVE = DestinationState("arn:aws:kinesis:us-east-1:000000000000:stream/s", "ACTIVE")
HEALTHY = BridgeObservation("ACTIVE", "ACTIVE", ACTIVE)


class ScriptedInspector(Inspector):
    """Sees what the test says, and enables what the test says is disabled."""

    def __init__(self, observation: BridgeObservation = HEALTHY) -> None:
        self.observation = observation
        self.enabled = 0
        self._looks = 0

    def look(self) -> BridgeObservation:
        self._looks += 1
        return self.observation

    async def several_looks(self) -> None:
        """Wait until the watch has looked so often that every part of it has had its turn."""
        enough = self._looks + 10
        await eventually(lambda: self._looks >= enough)

    def enable(self) -> list[str]:
        self.enabled += 1
        self.observation = HEALTHY
        return []


@pytest.fixture
def watching(
    monkeypatch: pytest.MonkeyPatch, clients: Clients, ledger_tables: Names, stream: str, publisher: Publisher
) -> Callable[..., Any]:
    """Run a watch while the block runs; ``inspector`` is what it sees of the destination.

    ``killed``: at the end of the block it saves nothing more.
    """
    monkeypatch.setattr(watch_module, "SAVE_INTERVAL", 0.5)

    @asynccontextmanager
    async def run(
        inspector: Inspector, options: WatchOptions = OPTIONS, *, killed: bool = False
    ) -> AsyncIterator[Watch]:
        calls, stop = CallPool(8, "watch"), asyncio.Event()
        jobs = BackfillStore(clients.dynamodb, ledger_tables.bridge)
        watch = Watch(
            options,
            inspector,
            Republisher(clients.dynamodb, ledger_tables.events, publisher, jobs),
            WatermarkStore(clients.dynamodb, ledger_tables.bridge),
            partial(TableTail, TableStream(clients.dynamodb, clients.dynamodbstreams, ledger_tables.events, calls)),
            partial(StreamTail, clients.kinesis, calls, stream, ledger_tables.events),
            calls,
        )
        running = asyncio.create_task(watch.run(stop), name="watch")
        try:
            # It begins with what is taken from now on.
            await eventually(lambda: watch.following)
            yield watch
        finally:
            if killed:
                tasks = [task for task in asyncio.all_tasks() if task.get_name().startswith("watch")]
                for task in tasks:
                    task.cancel()
                await asyncio.wait(tasks)
            else:
                stop.set()
                await running
            calls.close()

    return run


def told(watch: Watch, name: str) -> float | None:
    watch.show()
    return watch.registry.get_sample_value(f"kinfold_watch_{name}")


def keys(events: list[StoredEvent]) -> Counter[Key]:
    return Counter((event.aggregate_id, event.sequence_number) for event in events)


async def test_just_what_the_endpoint_dropped_is_put_on_the_stream(
    watching: Callable[..., Any], append: Append, on_stream: OnStream, publisher: Publisher
) -> None:
    async with watching(ScriptedInspector()) as watch:
        stored, dropped = list[StoredEvent](), list[StoredEvent]()
        for number in range(8):
            events = await asyncio.to_thread(append, f"acc-{number}", 25)
            random.Random(number).shuffle(events)
            await asyncio.to_thread(publisher.put, events[:19] + events[:2])
            stored, dropped = stored + events, dropped + events[19:]
        repeated = keys(on_stream()) - keys(stored)
        await eventually(lambda: watch.reconciler.taken >= 200)
        await eventually(lambda: keys(dropped).keys() <= keys(on_stream()).keys())
        await eventually(lambda: watch.ready().reason is None)
        assert keys(on_stream()) == keys(stored) + repeated, "each event that was dropped, once"
        assert watch.metrics.registry.get_sample_value("kinfold_watch_lost_total") == 48
    # The watermark is after all of it: another watch has nothing to do with what was compared.
    async with watching(ScriptedInspector()):
        later = await asyncio.to_thread(append, "later", 1)
        await eventually(lambda: keys(later).keys() <= keys(on_stream()).keys())
    assert keys(on_stream()) == keys(stored) + repeated + keys(later)


async def test_an_event_that_the_table_has_lost_does_not_stand_for_the_one_that_has_its_number_now(
    watching: Callable[..., Any], append: Append, on_stream: OnStream, publisher: Publisher
) -> None:
    """A stream keeps for a day what a restored table has lost, and shows it more than once."""
    async with watching(ScriptedInspector()) as watch:
        await asyncio.to_thread(publisher.put, [stored_event("alice")] * 2)
        [stored] = await asyncio.to_thread(append, "alice", 1)
        await eventually(lambda: stored in on_stream())
        await eventually(lambda: watch.ready().reason is None)


async def test_what_was_taken_while_no_watch_ran_is_compared_by_the_next(
    watching: Callable[..., Any], append: Append, on_stream: OnStream, publisher: Publisher
) -> None:
    async with watching(ScriptedInspector()) as watch:
        shown = await asyncio.to_thread(append, "alice", 5)
        await asyncio.to_thread(publisher.put, shown)
        await eventually(lambda: watch.reconciler.taken >= 5 and watch.reconciler.waiting == 0)
        await eventually(lambda: watch.saved)
    lost = await asyncio.to_thread(append, "alice", 5) + await asyncio.to_thread(append, "bob", 3)
    async with watching(ScriptedInspector()):
        await eventually(lambda: keys(lost).keys() <= keys(on_stream()).keys())
    assert keys(on_stream()) == keys(shown) + keys(lost)


async def test_what_was_taken_since_a_first_watch_follows_is_compared_by_the_next_however_soon_it_is_killed(
    watching: Callable[..., Any], append: Append, on_stream: OnStream
) -> None:
    patient = WatchOptions(interval=0.2, grace=600, poll=0.2)
    async with watching(ScriptedInspector(), patient, killed=True):
        pass
    lost = await asyncio.to_thread(append, "alice", 3)
    # Killed again while the stream has not shown what it took.
    async with watching(ScriptedInspector(), patient, killed=True) as watch:
        lost += await asyncio.to_thread(append, "alice", 2)
        await eventually(lambda: watch.reconciler.waiting == 5)
    async with watching(ScriptedInspector()):
        await eventually(lambda: keys(on_stream()) == keys(lost))


async def test_a_first_watch_follows_once_its_watermark_is_saved(
    watching: Callable[..., Any], clients: Clients, ledger_tables: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch_module, "_RETRY", (0.1, 0.1))
    refused = Mock(side_effect=[ResourceError("no table")] * 3)
    save = WatermarkStore.save

    def save_later(store: WatermarkStore, watermark: Watermark) -> None:
        if refused.call_count < 3:
            refused()
        save(store, watermark)

    monkeypatch.setattr(WatermarkStore, "save", save_later)
    async with watching(ScriptedInspector(), killed=True):
        assert refused.call_count == 3
        first = WatermarkStore(clients.dynamodb, ledger_tables.bridge).find()
    assert first is not None
    assert set((first.positions or {}).values()) == {None}, "nothing was read before"


async def test_a_watermark_never_passes_an_event_that_the_stream_has_not_shown(
    watching: Callable[..., Any], append: Append, on_stream: OnStream
) -> None:
    patient = WatchOptions(interval=0.2, grace=600, poll=0.2)
    inspector = ScriptedInspector()
    async with watching(inspector, patient) as watch:
        await eventually(lambda: watch.saved)
        lost = await asyncio.to_thread(append, "alice", 5)
        await eventually(lambda: watch.reconciler.waiting == 5)
        await inspector.several_looks()  # the watermark is saved meanwhile
    assert on_stream() == []
    async with watching(ScriptedInspector()):
        await eventually(lambda: keys(on_stream()) == keys(lost))


async def test_what_is_missing_waits_while_a_person_holds_the_watch(
    watching: Callable[..., Any], append: Append, on_stream: OnStream
) -> None:
    inspector = ScriptedInspector(replace(HEALTHY, held="held by eve: upkeep"))
    async with watching(inspector, WatchOptions(interval=0.2, grace=0.5, poll=0.2)) as watch:
        lost = await asyncio.to_thread(append, "alice", 3)
        await eventually(lambda: watch.ready().details["missing"] == 3)
        await inspector.several_looks()
        assert on_stream() == []
        inspector.observation = HEALTHY
        await eventually(lambda: keys(on_stream()) == keys(lost))


async def test_a_destination_that_fell_off_is_enabled_and_what_it_missed_is_put_on_the_stream(
    watching: Callable[..., Any], append: Append, on_stream: OnStream
) -> None:
    inspector = ScriptedInspector()
    async with watching(inspector) as watch:
        inspector.observation = BridgeObservation(
            "ACTIVE", "ACTIVE", DestinationState(ACTIVE.stream_arn, "DISABLED"), "held by eve: upkeep"
        )
        stored = await asyncio.to_thread(append, "alice", 12)
        await eventually(lambda: watch.ready().details["missing"] == 12)
        assert "held by eve: upkeep" in str(watch.ready().reason)
        assert (inspector.enabled, on_stream()) == (0, []), "nothing is changed while a person holds it"
        inspector.observation = BridgeObservation("ACTIVE", "ACTIVE", DestinationState(ACTIVE.stream_arn, "DISABLED"))
        await eventually(lambda: keys(on_stream()) == keys(stored))
        assert inspector.enabled == 1
        # Disabled again at once: somebody means it.
        inspector.observation = BridgeObservation("ACTIVE", "ACTIVE", DestinationState(ACTIVE.stream_arn, "DISABLED"))
        await eventually(lambda: "somebody means it" in str(watch.ready().reason))
        await inspector.several_looks()
        assert inspector.enabled == 1


async def test_without_repair_and_beside_a_relay_it_only_reports(
    watching: Callable[..., Any], append: Append, on_stream: OnStream
) -> None:
    for options in (
        WatchOptions(interval=0.2, grace=1, poll=0.2, repair=False),
        WatchOptions(interval=0.2, grace=1, poll=0.2, native=False),
    ):
        inspector = ScriptedInspector()
        async with watching(inspector, options) as watch:
            await asyncio.to_thread(append, "alice", 3)
            await eventually(lambda watch=watch: "events are not on the stream" in str(watch.ready().reason))  # type: ignore[misc]
            await inspector.several_looks()
            assert on_stream() == []


async def test_what_the_tables_stream_no_longer_holds_is_backfilled(
    watching: Callable[..., Any], append: Append, on_stream: OnStream, clients: Clients, ledger_tables: Names
) -> None:
    async with watching(ScriptedInspector()) as watch:
        await eventually(lambda: watch.saved)
    lost = await asyncio.to_thread(append, "alice", 40)
    watermarks = WatermarkStore(clients.dynamodb, ledger_tables.bridge)
    watermark = watermarks.find()
    assert watermark is not None
    # The table's stream is another one by now, as after it was switched off and on. With such a grace, only the
    # backfill of the gap can bring the events.
    watermarks.save(replace(watermark, stream_arn=f"{watermark.stream_arn}-before"))
    async with watching(ScriptedInspector(), WatchOptions(interval=0.2, grace=600, poll=0.2)) as watch:
        await eventually(lambda: keys(lost).keys() <= keys(on_stream()).keys())
        await eventually(lambda: watch.ready().reason is None)
    watermark = watermarks.find()
    assert watermark is not None
    assert watermark.gap is None


async def test_a_period_that_a_killed_watch_was_backfilling_is_resumed_and_a_running_one_left_alone(
    watching: Callable[..., Any],
    append: Append,
    on_stream: OnStream,
    clients: Clients,
    ledger_tables: Names,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, seconds in {"BEAT": 0.2, "STALE": 1.5, "_LOOK": 0.1}.items():
        monkeypatch.setattr(resumable_job, name, seconds)
    lost = await asyncio.to_thread(append, "alice", 40)
    async with watching(ScriptedInspector()) as watch:
        await eventually(lambda: watch.saved)
    watermarks = WatermarkStore(clients.dynamodb, ledger_tables.bridge)
    watermark = watermarks.find()
    assert watermark is not None
    gap = (watermark.moment, datetime.now(UTC))
    watermarks.save(replace(watermark, gap=gap))
    jobs = BackfillStore(clients.dynamodb, ledger_tables.bridge)
    job = BackfillJob(name=str(Selection(since=gap[0], until=gap[1])), token="another watch", cursors=(Cursor(),))
    jobs.start(job)
    with JobHeartbeat(jobs, [job], threading.Event()) as another:
        async with watching(ScriptedInspector(), WatchOptions(interval=0.2, grace=600, poll=0.2)) as watch:
            await eventually(lambda: "is being run by another process" in str(watch.ready().reason))
            assert (on_stream(), told(watch, "gap")) == ([], 1)
            another.__exit__()  # killed: its beat stands still
            await eventually(lambda: keys(lost) == keys(on_stream()))
            await eventually(lambda: watch.ready().reason is None)
            assert (told(watch, "gap"), told(watch, "gap_read")) == (0, len(lost))
    assert jobs.read(job.name) is None


def test_a_backfill_of_a_period_that_failed_is_resumed_by_the_same_watch(
    append: Append,
    on_stream: OnStream,
    clients: Clients,
    ledger_tables: Names,
    publisher: Publisher,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, seconds in {"STALE": 0.3, "_LOOK": 0.1}.items():
        monkeypatch.setattr(resumable_job, name, seconds)
    lost = append("alice", 10)
    jobs = BackfillStore(clients.dynamodb, ledger_tables.bridge)
    republisher = Republisher(clients.dynamodb, ledger_tables.events, publisher, jobs)
    gap = (datetime.now(UTC) - timedelta(hours=1), datetime.now(UTC) + timedelta(hours=1))
    with monkeypatch.context() as patch:
        patch.setattr(publisher, "put", Mock(side_effect=ResourceError("no stream")))
        with pytest.raises(ResourceError):
            republisher.fill(gap)
    assert republisher.fill(gap).ended
    assert keys(on_stream()) == keys(lost)
    republisher.stop()
    assert not republisher.fill(gap).ended
