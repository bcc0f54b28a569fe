"""The rates of a backfill, as stream and table feel them."""

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from ledger.runtime.aws import Clients
from ledger.runtime.progress_bar import ProgressBars
from ledger.store.stored_event import StoredEvent
from ledger.store.tables import Names
from stream_bridge.backfill.backfill import Backfill
from stream_bridge.backfill.progress import BackfillStore
from stream_bridge.backfill.publisher import Publisher
from stream_bridge.backfill.selection import Selection
from tests.support.waiting import until

pytestmark = pytest.mark.integration

Append = Callable[..., list[StoredEvent]]
RATE = 50


class Taken:
    """How many records or items passed, and when."""

    def __init__(self) -> None:
        self._passed: list[tuple[float, int]] = []

    def records(self, params: dict[str, Any], **_: object) -> None:
        self._passed.append((time.monotonic(), len(params["Records"])))

    def items(self, parsed: dict[str, Any], **_: object) -> None:
        self._passed.append((time.monotonic(), len(parsed["Items"])))

    @property
    def total(self) -> int:
        return sum(count for _, count in self._passed)

    def most_in_a_second(self) -> int:
        return max(sum(count for then, count in self._passed if start <= then < start + 1) for start, _ in self._passed)


@pytest.fixture
def put(clients: Clients) -> Taken:
    taken = Taken()
    clients.kinesis.meta.events.register("provide-client-params.kinesis.PutRecords", taken.records)
    return taken


@pytest.fixture
def read(clients: Clients) -> Taken:
    taken = Taken()
    for operation in ("Scan", "Query"):
        clients.dynamodb.meta.events.register(f"after-call.dynamodb.{operation}", taken.items)
    return taken


@pytest.fixture
def make(clients: Clients, ledger_tables: Names, publisher: Publisher, stop: threading.Event) -> Callable[..., Any]:
    jobs = BackfillStore(clients.dynamodb, ledger_tables.bridge)
    return lambda progress, **rates: Backfill(
        clients.dynamodb, ledger_tables.events, publisher, jobs, progress, stop, **rates
    )


@pytest.mark.parametrize("selection", [Selection(), Selection(("acc-0", "acc-1", "acc-2"))])
def test_no_second_takes_more_than_the_rate(
    make: Callable[..., Backfill], append: Append, put: Taken, selection: Selection
) -> None:
    for number in range(3):
        append(f"acc-{number}", 45)
    with ProgressBars() as progress:
        assert make(progress, rate=RATE).run(selection).published == 135
    assert put.total == 135
    assert put.most_in_a_second() <= 1.1 * RATE


@pytest.mark.parametrize("selection", [Selection(), Selection(("acc-0", "acc-1", "acc-2"))])
def test_no_second_reads_more_than_the_read_rate(
    make: Callable[..., Backfill], append: Append, read: Taken, selection: Selection
) -> None:
    for number in range(3):
        append(f"acc-{number}", 45)
    before = read.total
    with ProgressBars() as progress:
        assert make(progress, read_rate=RATE).count(selection).read == 135
    assert read.total - before >= 135
    # A segment's first page is read before anything is owed.
    assert read.most_in_a_second() <= 1.1 * RATE + 4 * 5


def test_a_stop_puts_nothing_more_of_the_page_in_hand_and_the_next_run_does(
    make: Callable[..., Backfill], append: Append, put: Taken, stop: threading.Event
) -> None:
    append("alice", 200)
    with ProgressBars() as progress:
        work = make(progress, rate=20)

        def stop_soon() -> None:
            until(lambda: put.total >= 4)
            stop.set()

        stopper = threading.Thread(target=stop_soon)
        stopper.start()
        outcome = work.run(Selection(), segments=1)
        stopper.join()
        assert not outcome.ended
        assert put.total < 20
        stop.clear()
        assert make(progress).run(Selection(), segments=1).ended
    assert put.total >= 200
