"""Which rows are right, late or wrong: each is judged at its own version, against the fold of its events."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from betting.events import BettingEvent
from betting.projections.balance_summary import BALANCE_SUMMARY
from betting.projections.daily_activity import DAILY_ACTIVITY
from ledger.store.errors import CorruptHistoryError
from ledger.store.stored_event import StoredEvent
from projector.engine.fold import first_head, fold_on
from projector.projection import HEAD, Halt, Projection, Row
from projector.verification.comparison import AggregateHistory, Compared, StoredRow, compare
from tests.support.accounts import deposits, stored_event
from tests.support.histories import histories

HALT = Halt(9, "no such field", "2026-01-02T03:04:05Z", "letter")


def stored(events: list[BettingEvent]) -> list[StoredEvent]:
    """The events of one account, two on each day."""
    return [
        structs.replace(
            stored_event("alice", number, event.payload(), event_type=event.event_type),
            occurred_at=f"2026-01-{number // 2 + 1:02}T00:00:00+00:00",
        )
        for number, event in enumerate(events, start=1)
    ]


def image(projection: Projection[Any], row: Row[Any]) -> dict[str, Any]:
    """An item with all that a row holds but its halt."""
    values = projection.columns.values(row.state) if row.state is not None else []
    state = dict(zip(projection.columns.names, values, strict=False))
    return {"id": {"S": f"{row.aggregate_id}/{row.part}"}, "version": {"N": str(row.version)}, **state}


def rows_at(projection: Projection[Any], events: list[StoredEvent], halt: Halt | None = None) -> dict[str, Row[Any]]:
    """The rows that the engine leaves behind after these events."""
    if not events and halt is None:
        return {}
    folded = fold_on(projection, first_head("alice"), {}, events, lambda *_: False)
    assert folded.poison is None
    return {HEAD: replace(folded.head, halted=halt), **folded.parts}


def compared(
    projection: Projection[Any],
    events: list[StoredEvent],
    rows: Mapping[str, Row[Any] | None],
    *,
    broken: str | None = None,
    skipped: int | None = None,
    **corrupt: Any,
) -> Compared[Any]:
    """Compare rows, of which None cannot be read; ``corrupt`` values are put into the head's item."""
    items = {part: StoredRow(image(projection, row) if row else {"id": {"S": "?"}}, row) for part, row in rows.items()}
    if corrupt:
        items[HEAD] = replace(items[HEAD], item={**items[HEAD].item, **corrupt})

    def read() -> Iterator[StoredEvent]:
        yield from events
        if broken is not None:
            raise CorruptHistoryError(broken)

    history = AggregateHistory("alice", read(), lambda _account_id, number: number == skipped)
    return compare(projection, lambda row: image(projection, row), history, items)


def in_another_currency(row: Row[Any]) -> Row[Any]:
    assert row.state is not None
    return replace(row, state=structs.replace(row.state, currency="XXX"))


BOTH = pytest.mark.parametrize("projection", [BALANCE_SUMMARY, DAILY_ACTIVITY], ids=lambda each: each.name)


@BOTH
@given(histories(), st.data())
def test_the_fold_of_a_prefix_is_right_and_behind_by_the_rest(
    projection: Projection[Any], history: list[BettingEvent], data: st.DataObject
) -> None:
    events = stored(history)
    version = data.draw(st.integers(0, len(events)))
    found = compared(projection, events, rows_at(projection, events[:version]))
    kind = "missing" if version == 0 else "behind" if version < len(events) else "agrees"
    assert (found.kind, found.behind, found.differences) == (kind, len(events) - version, ())
    assert (found.version or 0, found.stored) == (version, len(events))


@BOTH
@given(histories(), st.data())
def test_a_part_or_head_with_any_other_value_is_wrong_and_its_repair_is_known(
    projection: Projection[Any], history: list[BettingEvent], data: st.DataObject
) -> None:
    events = stored(history)
    rows = rows_at(projection, events)
    part = data.draw(st.sampled_from(sorted(part for part, row in rows.items() if row.state is not None)))
    bad = in_another_currency(rows[part])
    found = compared(projection, events, {**rows, part: bad})
    assert found.kind == "wrong"
    assert "currency is XXX, should be EUR" in found.reason
    (difference,) = found.differences
    assert (difference.part, difference.expected) == (part, rows[part])


@BOTH
def test_a_version_that_the_event_store_never_reached_is_wrong(projection: Projection[Any]) -> None:
    events = stored(deposits(3))
    rows = rows_at(projection, events)
    found = compared(projection, events, {**rows, HEAD: replace(rows[HEAD], version=9)})
    assert (found.kind, found.reason) == ("wrong", "version is 9, should be 3")


def test_an_attribute_that_does_not_belong_to_a_row_is_wrong() -> None:
    events = stored(deposits(1))
    found = compared(BALANCE_SUMMARY, events, rows_at(BALANCE_SUMMARY, events), bonus={"S": "9.00"})
    assert (found.kind, found.reason) == ("wrong", "bonus is 9.00, should be absent")


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ({"NULL": True}, "none"),
        ({"BOOL": False}, "False"),
        ({"L": [{"S": "a"}, {"N": "7"}]}, "[a, 7]"),
        ({"L": []}, "[]"),
        ({"S": "x" * 200}, "x" * 100),
    ],
)
def test_a_wrong_value_is_shown_as_people_write_it(value: dict[str, Any], shown: str) -> None:
    events = stored(deposits(1))
    found = compared(BALANCE_SUMMARY, events, rows_at(BALANCE_SUMMARY, events), bonus=value)
    assert found.reason == f"bonus is {shown}, should be absent"


def test_a_halt_and_a_revision_are_no_difference() -> None:
    events = stored(deposits(2))
    rows = rows_at(BALANCE_SUMMARY, events)
    found = compared(BALANCE_SUMMARY, events, rows, halted={"M": {}}, revision={"N": "3"})
    assert found.kind == "agrees"


def test_a_row_that_cannot_be_read_should_be_the_fold_of_the_whole_history() -> None:
    events = stored(deposits(3))
    found = compared(BALANCE_SUMMARY, events, {HEAD: None})
    assert found.kind == "wrong"
    assert found.differences[0].expected == rows_at(BALANCE_SUMMARY, events)[HEAD]


@BOTH
def test_a_halted_account_is_judged_at_its_version(projection: Projection[Any]) -> None:
    events = stored(deposits(4))
    rows = rows_at(projection, events[:2], HALT)
    found = compared(projection, events, rows)
    assert (found.kind, found.reason, found.behind) == ("halted", "event 9: no such field", 2)
    part = max(rows)
    bad = in_another_currency(rows[part])
    found = compared(projection, events, {**rows, part: bad})
    assert (found.kind, found.halted) == ("wrong", HALT)


@BOTH
def test_rows_of_an_account_without_events_are_extra(projection: Projection[Any]) -> None:
    rows = rows_at(projection, stored(deposits(2)))
    found = compared(projection, [], rows)
    assert found.kind == "extra"
    assert {each.part: each.expected for each in found.differences} == dict.fromkeys(rows)
    assert compared(projection, [], {}).kind == "agrees"


@BOTH
def test_an_aggregate_halted_before_its_first_event_is_not_extra_and_neither_is_it_once_the_halt_is_lifted(
    projection: Projection[Any],
) -> None:
    assert compared(projection, [], rows_at(projection, [], HALT)).kind == "halted"
    assert compared(projection, [], {HEAD: first_head("alice")}).kind == "agrees"
    assert compared(projection, [], {HEAD: first_head("alice")}, balance={"S": "1.00"}).kind == "wrong"


@BOTH
def test_rows_are_judged_as_far_as_a_broken_history_can_be_read(projection: Projection[Any]) -> None:
    events = stored(deposits(4))
    assert compared(projection, events[:2], rows_at(projection, events[:2]), broken="event 3 is gone").kind == "agrees"
    beyond = compared(projection, events[:2], rows_at(projection, events), broken="event 3 is gone")
    assert (beyond.kind, beyond.reason) == (
        "unreadable",
        "the event store cannot be read after version 2: event 3 is gone",
    )
    assert compared(projection, [], {}, broken="event 1 is gone").kind == "missing"


@BOTH
def test_a_skipped_event_counts_as_a_version_and_not_as_an_effect(projection: Projection[Any]) -> None:
    events = stored(deposits(3))
    events[1] = structs.replace(events[1], payload="{}")
    skipping = fold_on(projection, first_head("alice"), {}, events, lambda _account_id, number: number == 2)
    rows = {HEAD: skipping.head, **skipping.parts}
    assert compared(projection, events, rows, skipped=2).kind == "agrees"
    assert compared(projection, events, rows).kind == "unreadable", "nobody has skipped it"


def test_a_part_may_be_ahead_of_its_head_and_never_behind_it() -> None:
    """A worker writes parts before their head, so only a crash in between leaves them apart."""
    events = stored(deposits(4))  # days 01: 1; 02: 2, 3; 03: 4
    earlier, later = rows_at(DAILY_ACTIVITY, events[:2]), rows_at(DAILY_ACTIVITY, events)
    assert compared(DAILY_ACTIVITY, events, {**later, HEAD: earlier[HEAD]}).kind == "behind"
    stale = compared(DAILY_ACTIVITY, events, {**later, "2026-01-02": earlier["2026-01-02"]})
    assert stale.kind == "wrong"
    assert stale.reason.startswith("day 2026-01-02: count is 1, should be 2")


def test_a_part_that_is_missing_or_belongs_to_no_event_is_wrong() -> None:
    events = stored(deposits(4))
    rows = rows_at(DAILY_ACTIVITY, events)
    missing = compared(DAILY_ACTIVITY, events, {part: row for part, row in rows.items() if part != "2026-01-02"})
    assert (missing.kind, missing.reason) == ("wrong", "day 2026-01-02: it is missing")
    assert missing.differences[0].expected == rows["2026-01-02"]
    bogus = replace(rows["2026-01-02"], part="1999-12-31")
    extra = compared(DAILY_ACTIVITY, events, {**rows, "1999-12-31": bogus})
    assert (extra.kind, extra.reason) == ("wrong", "day 1999-12-31: no event belongs to it")
    assert extra.differences[0].expected is None
