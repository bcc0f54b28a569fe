"""What follows an account's head without a gap: delivered events, and from the event store only what is missing."""

from collections.abc import Iterator

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ledger.store.errors import CorruptHistoryError
from ledger.store.stored_event import StoredEvent
from projector.engine import gap_repair
from projector.engine.gap_repair import MAX_ROUND, NextEvents, SharedReads
from projector.projection import HEAD, Row, UnprojectableEventError
from tests.support.accounts import stored_event


class Store:
    """An event store of one account's events 1..``count``; ``broken`` is a number that it cannot read past."""

    def __init__(self, count: int, broken: int | None = None) -> None:
        self.count = count
        self.broken = broken
        self.reads: list[tuple[int, int]] = []

    def read(self, account_id: str, *, after: int, until: int) -> Iterator[StoredEvent]:
        self.reads.append((after + 1, until))
        for number in range(after + 1, min(until, self.count) + 1):
            if number == self.broken:
                raise CorruptHistoryError(f"event {number} is no event")
            yield stored_event(account_id, number)


def following(store: Store, version: int, delivered: list[int]) -> NextEvents:
    head: Row[object] | None = Row("alice", HEAD, version, None) if version else None
    events = [stored_event("alice", number) for number in delivered]
    return NextEvents(store, "alice", head, events)


def numbers(events: NextEvents) -> list[int]:
    return [event.sequence_number for event in events]


@given(version=st.integers(0, 10), delivered=st.sets(st.integers(1, 20)))
def test_nothing_is_missing_whatever_was_delivered(version: int, delivered: set[int]) -> None:
    store = Store(20)
    events = following(store, version, sorted(delivered))
    fresh = {number for number in delivered if number > version}
    wanted = range(version + 1, max(fresh, default=version) + 1)
    assert numbers(events) == list(wanted)
    assert events.duplicates == len(delivered - fresh)
    missing = sorted(set(wanted) - fresh)
    assert events.gaps == bool(missing)
    assert store.reads == ([(missing[0], missing[-1])] if missing else []), "one read, from the first gap to the last"
    assert events.finished


@given(stored=st.integers(0, 10), version=st.integers(0, 10), delivered=st.integers(1, 20))
def test_what_the_store_lacks_is_raised_after_all_that_is_there(stored: int, version: int, delivered: int) -> None:
    assume(delivered > max(stored, version) + 1)
    events = following(Store(stored), version, [delivered])
    found: list[int] = []
    with pytest.raises(UnprojectableEventError, match="the event store holds none from") as error:
        found.extend(event.sequence_number for event in events)
    assert error.value.sequence_number == delivered
    assert found == list(range(version + 1, stored + 1))
    assert events.finished, "there is nothing more to read"


def test_a_broken_history_is_raised_at_the_event_that_cannot_be_read() -> None:
    events = following(Store(9, broken=4), 1, [7])
    found: list[int] = []
    with pytest.raises(UnprojectableEventError, match="event 4 is no event") as error:
        found.extend(event.sequence_number for event in events)
    assert (error.value.aggregate_id, error.value.sequence_number) == ("alice", 4)
    assert found == [2, 3]


def test_a_long_gap_is_read_in_bounded_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gap_repair, "MAX_ROUND", 4)
    version, rounds = 0, []
    while True:
        events = following(Store(10), version, [10])
        rounds.append(numbers(events))
        if events.finished:
            break
        version = rounds[-1][-1]
    assert rounds == [[1, 2, 3, 4], [5, 6, 7, 8], [9, 10]]


GAPS = st.tuples(st.sampled_from(["alice", "bob"]), st.integers(0, 12), st.integers(1, 12))


@given(gaps=st.lists(GAPS, max_size=8), count=st.integers(0, 20))
def test_a_gap_that_is_there_is_read_once_by_however_many(gaps: list[tuple[str, int, int]], count: int) -> None:
    store, alone = Store(count), Store(count)
    shared = SharedReads(store)
    for aggregate_id, after, length in gaps * 2:
        found = list(shared.read(aggregate_id, after=after, until=after + length))
        assert found == list(alone.read(aggregate_id, after=after, until=after + length))
    there = {gap for gap in gaps if gap[1] + gap[2] <= count}
    assert len(store.reads) == len(there) + 2 * sum(gap not in there for gap in gaps)


def test_what_broke_off_is_read_again() -> None:
    store = Store(9, broken=4)
    shared = SharedReads(store)
    with pytest.raises(CorruptHistoryError):
        list(shared.read("alice", after=1, until=6))
    assert next(shared.read("alice", after=4, until=9)).sequence_number == 5, "not read to its end"
    store.broken = None
    assert [event.sequence_number for event in shared.read("alice", after=1, until=6)] == [2, 3, 4, 5, 6]
    assert len(list(shared.read("alice", after=4, until=9))) == 5


def test_more_than_a_round_of_events_is_never_kept() -> None:
    store = Store(3 * MAX_ROUND)
    shared = SharedReads(store)
    gaps = [(0, MAX_ROUND + 1), (0, MAX_ROUND), (1, MAX_ROUND)]
    for after, until in gaps:
        assert len(list(shared.read("alice", after=after, until=until))) == until - after
    list(shared.read("alice", after=1, until=MAX_ROUND))
    assert len(store.reads) == 3, "the last one is kept"
    list(shared.read("alice", after=0, until=MAX_ROUND))
    list(shared.read("alice", after=0, until=MAX_ROUND + 1))
    assert len(store.reads) == 5
