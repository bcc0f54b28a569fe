"""A projection folds the events of its aggregates, each under a key of its own type, and no others."""

import re
from collections.abc import Callable
from dataclasses import dataclass, make_dataclass, replace
from itertools import product
from math import inf
from typing import Any

import pytest
from msgspec import structs

from betting.account_type import ACCOUNT
from betting.projections.balance_summary import BALANCE_SUMMARY
from ledger.store.stored_event import StoredEvent
from loyalty.member import MEMBER, PointsEarned
from loyalty.points_balance import POINTS_BALANCE
from projector.columns import Columns
from projector.projection import HEAD, Projection, UnprojectableEventError
from projector.verification.expected_rows import ExpectedRows
from tests.support.accounts import stored_event


@dataclass(frozen=True)
class Count:
    events: int = 0


def count(before: Count | None, _event: Any, _stored: StoredEvent) -> Count:
    return replace(before or Count(), events=(before or Count()).events + 1)


BOTH = Projection("counts", "counts", (ACCOUNT, MEMBER), Columns(Count), count)
OF_ACCOUNT = stored_event("alice")
EARNED = structs.replace(
    OF_ACCOUNT, aggregate_type="member", event_type="PointsEarned", payload=PointsEarned(points=1).payload()
)
OF_MEMBER = structs.replace(EARNED, aggregate_id=MEMBER.key("alice"))


def test_the_events_of_each_of_its_types_are_folded() -> None:
    assert BOTH.after(BOTH.after(None, OF_ACCOUNT), OF_MEMBER) == Count(2)


UNDER_AN_ACCOUNT = [
    EARNED,
    structs.replace(OF_ACCOUNT, aggregate_type="member"),
    structs.replace(OF_ACCOUNT, aggregate_type="order"),
]
UNDER_A_MEMBER = structs.replace(OF_ACCOUNT, aggregate_id=MEMBER.key("alice"))


@pytest.mark.parametrize(
    ("projection", "misplaced"),
    [*product([BALANCE_SUMMARY, BOTH], UNDER_AN_ACCOUNT), (BOTH, UNDER_A_MEMBER)],
)
def test_an_event_of_one_type_under_a_key_of_another_is_never_folded(
    projection: Projection[Any], misplaced: StoredEvent
) -> None:
    with pytest.raises(UnprojectableEventError, match="it is of aggregate type"):
        projection.after(None, misplaced)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"aggregates": ()}, "takes no aggregates"),
        ({"name": "Points Balance"}, "lower case letters, digits and hyphens"),
        ({"path": "points/balance"}, "lower case letters, digits and hyphens"),
        ({"path": "dead-letters"}, "/dead-letters is the projector's own"),
        ({"path": "health"}, "/health is the projector's own"),
        ({"path": "docs"}, "/docs is the projector's own"),
        ({"part_name": "day"}, "go together"),
    ],
)
def test_what_can_be_no_projection_is_refused_where_it_is_made(given: dict[str, Any], reason: str) -> None:
    with pytest.raises(TypeError, match=reason):
        replace(POINTS_BALANCE, **given)


@pytest.mark.parametrize(
    "name", ["version", "halted", "revision", "event_hash", "aggregate_id", "member_id", "day", "days"]
)
def test_a_column_has_no_name_that_a_row_has_already(name: str) -> None:
    columns: Columns[Any] = Columns(make_dataclass("State", [(name, int)]))
    parts: dict[str, Any] = {"part_name": "day", "part": lambda event, stored: "", "parse_part": str}
    with pytest.raises(TypeError, match=r"a row has .* beside its columns"):
        replace(POINTS_BALANCE, columns=columns, **parts)


def broken(*_: Any) -> Any:
    raise KeyError("a secret of the event")


class BrokenWitness:
    """Fails when it is told of an event, or when it is asked."""

    def __init__(self, when: str) -> None:
        self.when = when

    def add(self, *_: Any) -> None:
        if self.when == "told":
            broken()

    def states(self) -> Any:
        return broken()


BY_PART = replace(BOTH, part_name="part", part=broken, parse_part=str)
WHOLE = {HEAD: inf}


def witnessed(when: str) -> dict[str, Any]:
    projection = replace(BOTH, witness=lambda _: BrokenWitness(when))
    rows = ExpectedRows(projection, "alice", lambda *_: False, WHOLE)
    rows.add(OF_ACCOUNT)
    return rows.rows()


@pytest.mark.parametrize(
    ("call", "what"),
    [
        (lambda: replace(BOTH, fold=broken).after(None, OF_ACCOUNT), "fold"),
        (lambda: BY_PART.part_of(OF_ACCOUNT), "part"),
        (lambda: witnessed("told"), "witness"),
        (lambda: witnessed("asked"), "witness"),
    ],
)
def test_an_error_in_a_domain_is_one_of_that_event_and_repeats_nothing(call: Callable[[], Any], what: str) -> None:
    with pytest.raises(UnprojectableEventError) as refused:
        call()
    assert (refused.value.aggregate_id, refused.value.sequence_number) == ("alice", 1)
    assert re.fullmatch(rf"the {what} failed with KeyError \(broken, line \d+\)", refused.value.reason)
    assert isinstance(refused.value.__cause__, KeyError)


def test_too_little_memory_is_no_error_of_the_event() -> None:
    def hungry(*_: Any) -> Any:
        raise MemoryError

    with pytest.raises(MemoryError):
        replace(BOTH, fold=hungry).after(None, OF_ACCOUNT)
    with pytest.raises(MemoryError):
        replace(BY_PART, part=hungry).part_of(OF_ACCOUNT)


def test_what_several_read_models_fold_is_read_once() -> None:
    event = structs.replace(OF_ACCOUNT)
    assert BALANCE_SUMMARY.decode(event) is BOTH.decode(event)
    assert (event, hash(event)) == (structs.replace(event), hash(OF_ACCOUNT)), "what it keeps is no part of it"
    with pytest.raises(UnprojectableEventError, match="it is of aggregate type 'account', not of 'member'"):
        POINTS_BALANCE.decode(event)
