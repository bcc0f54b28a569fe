"""One reading of the events table for every read model, whatever a scan shows in whatever order."""

import threading
from collections import Counter, defaultdict
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from msgspec import structs

from betting.projections import PROJECTIONS
from betting.projections.balance_summary import BALANCE_SUMMARY
from betting.projections.daily_activity import DAILY_ACTIVITY
from ledger.errors import ResourceError
from ledger.runtime.aws import Clients
from ledger.store import parallel_scan
from ledger.store.event_store import EventStore
from ledger.store.parallel_scan import Cursor, RetryUntilStopped, SegmentedScan
from ledger.store.stored_event import EventItem, StoredEvent
from projector.components import Components
from projector.engine.control_rows import Control
from projector.engine.provisioning import prepare
from projector.engine.read_model import RowChange
from projector.projection import Row
from projector.rebuild import rebuild
from projector.rebuild.build_lease import BuildStore
from projector.rebuild.lane import Lane
from projector.rebuild.rebuild import Rebuild
from projector.verification.verification import check_everything, verification_of
from tests.support.accounts import deposit

pytestmark = pytest.mark.integration


class Unheard:
    """Progress that nobody watches."""

    def begin(self, work: str, phase: str, total: int, done: int) -> None: ...

    def advance(self, work: str, done: int) -> None: ...

    def report(self, text: str) -> None: ...


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rebuild, "SEEN_BY_ALL", 0.05)
    monkeypatch.setattr(parallel_scan, "PAGE", 10)


def tallies(components: Components) -> dict[str, Counter[Any]]:
    """Verify what readers see of every projection, in one reading."""
    retry = RetryUntilStopped(threading.Event(), print)
    components.models.refresh()
    models = [components.models.active(each) for each in PROJECTIONS]
    verifications = [verification_of(components, model, retry, print, wait=0) for model in models]
    check_everything(verifications, (Cursor(),) * 2, lambda *_: None)
    return {each.name: each.tally for each in verifications}


def test_the_events_table_is_read_once_for_all_read_models(
    components: Components, store: EventStore, clients: Clients
) -> None:
    for number in range(10):
        deposit(store, f"acc-{number}", 12)
    shown: Counter[str] = Counter()

    def count(parsed: dict[str, Any], **_: Any) -> None:
        shown["events"] += sum(isinstance(item, EventItem) for item in parsed["Items"])

    for operation in ("Scan", "Query"):
        clients.dynamodb.meta.events.register(f"after-call.dynamodb.{operation}", count)
    rebuilt = Rebuild(components, Unheard()).run(PROJECTIONS, segments=2)
    assert [(each.aggregates, each.events) for each in rebuilt] == [(10, 120)] * 2
    assert shown["events"] == 120
    assert tallies(components) == {each.name: {"agrees": 10} for each in PROJECTIONS}
    assert shown["events"] == 240


@pytest.mark.parametrize("order", ["shuffled", "interleaved", "backwards", "delayed"])
def test_nothing_depends_on_the_order_in_which_a_scan_shows_events(
    order: str, components: Components, store: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(6):
        deposit(store, f"acc-{number}", 9)
    scanned, delayed = SegmentedScan.page, defaultdict[int, list[Any]](list)

    def page(scan: SegmentedScan, segment: int, segments: int, cursor: Cursor) -> tuple[list[Any], Cursor]:
        items, after = scanned(scan, segment, segments, cursor)
        if items and not isinstance(items[0], EventItem):
            return items, after
        if order == "shuffled":
            Random(segment).shuffle(items)
        elif order == "backwards":
            items.reverse()
        elif order == "delayed":
            # Each third event comes a page later than those around it.
            late = [] if after.ended else [item for item in items if item.sequence_number.N == "3"]
            items, delayed[segment] = delayed[segment] + [item for item in items if item not in late], late
        else:
            items.sort(key=lambda item: int(item.sequence_number.N) % 4)
        return items, after

    monkeypatch.setattr(SegmentedScan, "page", page)
    rebuilt = Rebuild(components, Unheard()).run(PROJECTIONS, segments=2)
    assert [(each.aggregates, each.events) for each in rebuilt] == [(6, 54)] * 2
    monkeypatch.undo()
    assert tallies(components) == {each.name: {"agrees": 6} for each in PROJECTIONS}


def test_a_part_that_a_worker_has_begun_is_brought_up_before_its_head_is_there(
    components: Components, store: EventStore
) -> None:
    """The worker was killed between the part and the head; a head at the last event would have the part left behind."""
    first = deposit(store, "acc-0", 9)[0]
    nothing: Row[Any] = Row("acc-0", DAILY_ACTIVITY.part_of(first), 0, None)
    begun = nothing.advanced(first, DAILY_ACTIVITY.after(None, first))

    class Meeting(Unheard):
        def begin(self, work: str, phase: str, total: int, done: int) -> None:
            assert components.models.model(DAILY_ACTIVITY, 2).write([RowChange(begun, None)]) == set()

    [rebuilt] = Rebuild(components, Meeting()).run([DAILY_ACTIVITY], segments=1)
    assert (rebuilt.aggregates, rebuilt.events) == (1, 9)
    assert tallies(components)[DAILY_ACTIVITY.name] == {"agrees": 1}


def test_one_that_was_recorded_further_than_another_counts_no_account_twice(components: Components) -> None:
    """A kill between the records of two builds: the one that is ahead reads a page again."""
    prepare(components.clients.dynamodb, components.names, PROJECTIONS)
    builds = BuildStore(components.clients.dynamodb, components.names.projections)
    started = builds.start(BALANCE_SUMMARY.name, 2, "token", active=1, segments=2)
    ahead = (Cursor(None, True, 90, {"accounts": 9, "halted": 2}), Cursor(None, False, 50, {"accounts": 5}))
    lane = Lane(components, BALANCE_SUMMARY, builds, replace(started, cursors=ahead), print, reading="token")
    lane.start_from([Cursor(None, False, 40, {"accounts": 4}), Cursor()])
    assert [cursor.items for cursor in lane.cursors] == [40, 0]
    assert (lane.count("accounts"), lane.count("halted"), lane.read) == (4, 2, 40)


def test_one_that_fails_leaves_the_others_alone(
    components: Components, store: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(4):
        deposit(store, f"acc-{number}", 8)
    doomed = DAILY_ACTIVITY.table(components.names.profile, 2)

    class Deleting(Unheard):
        def begin(self, work: str, phase: str, total: int, done: int) -> None:
            components.clients.dynamodb.delete_table(TableName=doomed)

    with pytest.raises(ResourceError, match=doomed):
        Rebuild(components, Deleting()).run([DAILY_ACTIVITY, BALANCE_SUMMARY], segments=2)
    assert components.generations.read(BALANCE_SUMMARY.name) == Control(2, frozenset({2}))
    assert components.generations.read(DAILY_ACTIVITY.name) == Control(1, frozenset({1, 2}), building=2)


def test_what_was_wrong_before_a_kill_is_found_again(
    components: Components, store: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A finding is recorded nowhere: the segment's cursor stays before it."""
    for number in range(8):
        deposit(store, f"acc-{number}", 5)

    class KilledError(RuntimeError):
        pass

    def fold(state: Any, event: Any, stored: StoredEvent) -> Any:
        after = BALANCE_SUMMARY.fold(state, event, stored)
        return structs.replace(after, currency="USD") if stored.aggregate_id == "acc-0" else after

    broken = replace(BALANCE_SUMMARY, fold=fold)
    components.models.projections[BALANCE_SUMMARY.name] = broken
    monkeypatch.setattr(rebuild, "carry_halts", lambda *_: (_ for _ in ()).throw(KilledError))
    with pytest.raises(KilledError):
        Rebuild(components, Unheard()).run([broken], segments=1)
    monkeypatch.undo()
    monkeypatch.setattr(rebuild, "SEEN_BY_ALL", 0.05)
    with pytest.raises(rebuild.UnverifiedError, match="aggregate acc-0: currency is USD, should be EUR"):
        Rebuild(components, Unheard()).run([broken], segments=1)
