"""One reading of the events table: no page counts as read before all that it has shown is finished."""

import itertools
import threading
from collections.abc import Mapping, Sequence
from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st

from ledger.store.parallel_scan import Cursor, Item, RetryUntilStopped, SegmentedScan
from ledger.store.stored_event import StoredEvent
from projector.verification.history_reading import ScannedAggregate, read_histories
from tests.support.accounts import stored_event


class Pages:
    """A scan of one segment, cut into pages."""

    def __init__(self, pages: Sequence[Sequence[Item]]) -> None:
        self._pages = pages

    def page(self, segment: int, segments: int, cursor: Cursor) -> tuple[list[Item], Cursor]:
        assert (segment, segments) == (0, 1)
        at = int(cursor.key["n"]["N"]) if cursor.key else 0
        ended = at + 1 == len(self._pages)
        key = None if ended else {"n": {"N": str(at + 1)}}
        return list(self._pages[at]), Cursor(key, ended, cursor.items + len(self._pages[at]))


class Numbers:
    """The numbers of an account's events, in the order in which they came."""

    def __init__(self) -> None:
        self.numbers: list[int] = []

    def add(self, event: StoredEvent) -> None:
        self.numbers.append(event.sequence_number)


class Reader:
    """Remembers what was finished."""

    name = "reader"

    def __init__(self) -> None:
        self.finished: list[str] = []
        self.whole: dict[str, list[int]] = {}

    def takes(self, account_id: str) -> bool:
        return True

    def follow(self, account_id: str) -> Numbers:
        return Numbers()

    def finish(self, accounts: Sequence[ScannedAggregate]) -> Mapping[str, int]:
        self.finished += [each.aggregate_id for each in accounts]
        self.whole |= {each.aggregate_id: each.followers[self.name].numbers for each in accounts if each.whole}
        return {"finished": len(accounts)}


@given(st.lists(st.integers(1, 7), min_size=1, max_size=8), st.lists(st.integers(0, 30), max_size=8))
def test_a_page_counts_as_read_once_every_account_that_it_has_shown_is_finished(
    histories: list[int], cuts: list[int]
) -> None:
    shown = [stored_event(f"a{account}", n + 1) for account, events in enumerate(histories) for n in range(events)]
    edges = sorted({0, len(shown), *(cut for cut in cuts if cut < len(shown))})
    pages = [[event.to_item() for event in shown[a:b]] for a, b in itertools.pairwise(edges)]
    reader, done = Reader(), list[Cursor]()
    counted = {"accounts": 0, "finished": 0}

    def page_done(
        segment: int, cursor: Cursor, begun: Mapping[str, int], counts: Mapping[str, Mapping[str, int]]
    ) -> None:
        done.append(cursor)
        counted["accounts"] += begun["accounts"]
        counted["finished"] += counts["reader"]["finished"]
        assert {event.aggregate_id for event in shown[: cursor.items]} <= set(reader.finished)

    retry = RetryUntilStopped(threading.Event(), print)
    scan = cast("SegmentedScan", Pages(pages))
    read_histories(scan, [Cursor()], lambda: [cast("Any", reader)], page_done, retry)
    assert [cursor.items for cursor in done] == edges[1:]
    assert done[-1].ended
    assert counted == {"accounts": len(histories), "finished": len(histories)}
    assert reader.whole == {f"a{account}": list(range(1, events + 1)) for account, events in enumerate(histories)}
