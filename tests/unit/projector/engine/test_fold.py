"""The fold of an account's next events: in whatever portions they come, whatever a crash left behind."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from betting.account_type import ACCOUNT
from betting.events import BettingEvent
from ledger.store.stored_event import StoredEvent
from projector.columns import Columns
from projector.engine.fold import Folded, first_head, fold_on
from projector.projection import HEAD, Halt, Projection, Row, UnprojectableEventError
from tests.support.accounts import stored_event

POISON = '{"schemaVersion":1,"amount":"6.66","currency":"EUR"}'


@dataclass(frozen=True, slots=True)
class Seen:
    """The sequence numbers that were folded, in order."""

    numbers: str


def fold(state: Seen | None, _: BettingEvent, event: StoredEvent) -> Seen:
    if event.payload == POISON:
        raise UnprojectableEventError(event.aggregate_id, event.sequence_number, "it is poison")
    return Seen(f"{state.numbers if state else ''}{event.sequence_number},")


WHOLE = Projection("whole", "whole", (ACCOUNT,), Columns(Seen), fold)
BY_THREE = replace(
    WHOLE, name="parts", part_name="part", part=lambda _, event: f"part-{event.sequence_number % 3}", parse_part=str
)


def history(count: int) -> list[StoredEvent]:
    return [stored_event("alice", number) for number in range(1, count + 1)]


def none_skipped(_account_id: str, _sequence_number: int) -> bool:
    return False


def seen(row: Row[Seen]) -> list[int]:
    return [int(number) for number in row.state.numbers.split(",")[:-1]] if row.state else []


def fold_from_start(projection: Projection[Seen], events: list[StoredEvent]) -> Folded[Seen]:
    return fold_on(projection, first_head("alice"), {}, events, none_skipped)


@given(st.integers(1, 12), st.sets(st.integers(0, 12)))
def test_any_portions_fold_to_what_the_whole_folds_to(count: int, cuts: set[int]) -> None:
    events = history(count)
    bounds = [0, *sorted(cut for cut in cuts if cut < count), count]
    for projection in (WHOLE, BY_THREE):
        head: Row[Seen] = first_head("alice")
        parts: dict[str, Row[Seen]] = {}
        for first, last in pairwise(bounds):
            folded = fold_on(projection, head, parts, events[first:last], none_skipped)
            head, parts = folded.head, {**parts, **folded.parts}
        whole = fold_from_start(projection, events)
        assert (head, parts) == (whole.head, whole.parts)
        assert head.version == count


@given(st.integers(1, 12), st.data())
def test_parts_that_a_crash_left_ahead_of_their_head_are_not_folded_twice(count: int, data: st.DataObject) -> None:
    events = history(count)
    durable = data.draw(st.integers(0, count), "head's version")
    ahead = data.draw(st.integers(durable, count), "the crashed round's last event")
    written = data.draw(st.sets(st.sampled_from(["part-0", "part-1", "part-2"])), "parts that it wrote")
    before, crashed = (fold_from_start(BY_THREE, events[:until]) for until in (durable, ahead))
    parts = {**before.parts, **{part: row for part, row in crashed.parts.items() if part in written}}
    folded = fold_on(BY_THREE, before.head, parts, events[durable:], none_skipped)
    assert {**parts, **folded.parts} == fold_from_start(BY_THREE, events).parts
    assert folded.head.version == count


@given(st.integers(1, 8), st.data())
def test_the_fold_ends_before_the_first_event_that_cannot_be_applied(count: int, data: st.DataObject) -> None:
    events = history(count)
    bad = data.draw(st.integers(1, count))
    events[bad - 1] = stored_event("alice", bad, POISON)
    for projection in (WHOLE, BY_THREE):
        folded = fold_from_start(projection, events)
        assert folded.head.version == bad - 1
        assert sorted(number for row in (folded.head, *folded.parts.values()) for number in seen(row)) == list(
            range(1, bad)
        )
        assert folded.poison is not None
        assert (folded.poison.sequence_number, folded.poison.reason) == (bad, "it is poison")
        assert folded.poison.event == events[bad - 1]


def test_an_event_that_nobody_holds_is_poison_without_an_event() -> None:
    def events() -> Iterator[StoredEvent]:
        yield from history(2)
        raise UnprojectableEventError("alice", 4, "the store lacks it")

    folded = fold_on(WHOLE, first_head("alice"), {}, events(), none_skipped)
    assert (folded.head.version, seen(folded.head)) == (2, [1, 2])
    assert folded.poison is not None
    assert (folded.poison.sequence_number, folded.poison.event) == (4, None)


@pytest.mark.parametrize("projection", [WHOLE, BY_THREE])
@pytest.mark.parametrize("bad", [1, 3, 4])
def test_a_skipped_event_moves_the_version_and_no_state(projection: Projection[Seen], bad: int) -> None:
    events = history(4)
    events[bad - 1] = stored_event("alice", bad, POISON)
    folded = fold_on(projection, first_head("alice"), {}, events, lambda *skipped: skipped == ("alice", bad))
    assert folded.poison is None
    assert folded.head.version == 4
    numbers = [number for row in (folded.head, *folded.parts.values()) for number in seen(row)]
    assert sorted(numbers) == [number for number in range(1, 5) if number != bad]


def test_a_row_keeps_its_halt_and_its_revision() -> None:
    halt = Halt(9, "why", "2026-01-02T03:04:05Z", "letter")
    head = Row("alice", HEAD, 1, Seen("1,"), halt, revision=3)
    folded = fold_on(WHOLE, head, {}, history(2)[1:], none_skipped)
    assert folded.head == Row("alice", HEAD, 2, Seen("1,2,"), halt, revision=3, event_hash=history(2)[1].event_hash)


@dataclass(frozen=True, slots=True)
class Product:
    number: int


def times(state: Product | None, _: BettingEvent, __: StoredEvent) -> Product:
    return Product((state.number if state else 1) * 10**16)


@pytest.mark.parametrize("parts", [False, True])
@pytest.mark.parametrize("skipped", [set(), {2}, {3}])
def test_the_first_event_after_which_no_row_holds_the_state_cannot_be_applied(parts: bool, skipped: set[int]) -> None:
    projection = Projection("product", "product", (ACCOUNT,), Columns(Product), times)
    if parts:
        projection = replace(projection, part_name="part", part=lambda _, __: "p", parse_part=str)
    folded = fold_on(projection, first_head("alice"), {}, iter(history(6)), lambda _, number: number in skipped)
    first = 4 if skipped else 3
    assert folded.poison is not None
    assert (folded.head.version, folded.poison.sequence_number) == (first - 1, first)
    assert folded.poison.event is not None
    assert "38 digits" in folded.poison.reason
    (row,) = folded.parts.values() if parts else [folded.head]
    assert row.state == Product(10**32)
