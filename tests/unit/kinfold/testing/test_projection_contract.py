"""Each promise of a projection's contract goes red for a projection that breaks it on purpose."""

import json
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import count
from typing import Annotated, Any

import pytest
from hypothesis import strategies as st
from msgspec import structs

from betting.account_type import ACCOUNT
from betting.events import BettingEvent, FundsDeposited
from betting.projections.balance_summary import BALANCE_SUMMARY, BalanceSummary, Witness
from betting.projections.daily_activity import DAILY_ACTIVITY
from kinfold.testing import History, ProjectionContract, commands, histories
from ledger.store.stored_event import StoredEvent
from loyalty.member import MEMBER, PointCount
from loyalty.points_balance import POINTS_BALANCE
from loyalty.resource import MEMBERS, Earn
from projector.columns import Columns, Places
from projector.projection import Projection, UnprojectableEventError
from tests.unit.betting.test_contract import HISTORIES, OLD
from tests.unit.kinfold.testing.conftest import Goes

NUMBERS = count()

DELIVERY = "test_any_delivery_leads_to_the_fold"
HOLDABLE = "test_rows_are_what_a_table_can_hold"


@dataclass(frozen=True)
class Count:
    count: int


def counting_deliveries(state: Count | None, event: BettingEvent, stored: StoredEvent) -> Count:
    return Count(next(NUMBERS))


#: Survives from one delivery to the next, as a cache of a module would.
SEEN: dict[str, set[int]] = {}


def of_new_ones(state: Count | None, event: BettingEvent, stored: StoredEvent) -> Count:
    seen = SEEN.setdefault(stored.aggregate_id, set())
    new = stored.sequence_number not in seen
    seen.add(stored.sequence_number)
    return Count((state.count if state else 0) + new)


def counted(fold: Any) -> Projection[Count]:
    return Projection("counted", "counted", (ACCOUNT,), Columns(Count), fold)


@pytest.mark.parametrize("fold", [counting_deliveries, of_new_ones])
def test_a_fold_that_depends_on_its_delivery(goes_red: Goes, fold: Any) -> None:
    goes_red(
        ProjectionContract, DELIVERY, "its rows are wrong: count is", projection=counted(fold), histories=HISTORIES
    )


def test_a_part_that_depends_on_its_delivery(goes_red: Goes) -> None:
    broken = replace(DAILY_ACTIVITY, part=lambda *_: f"part-{next(NUMBERS) % 3}")
    goes_red(ProjectionContract, DELIVERY, "its rows are wrong", projection=broken, histories=HISTORIES)


def test_a_fold_that_refuses_what_came_about(goes_red: Goes) -> None:
    def fold(state: Count | None, event: BettingEvent, stored: StoredEvent) -> Count:
        if stored.sequence_number == 3:
            raise UnprojectableEventError(stored.aggregate_id, 3, "it is the third")
        return Count(stored.sequence_number)

    reason = "came about, and cannot be folded: it is the third"
    goes_red(ProjectionContract, DELIVERY, reason, projection=counted(fold), histories=HISTORIES)


class Wrong(Witness):
    """Forgets every second payout."""

    def states(self) -> dict[str, BalanceSummary]:
        return {
            part: structs.replace(state, paid_out=state.paid_out // 2 * 2) for part, state in super().states().items()
        }


def test_a_witness_that_differs(goes_red: Goes) -> None:
    broken = replace(BALANCE_SUMMARY, witness=Wrong)
    goes_red(ProjectionContract, "test_the_witness_agrees", "paidOut is", projection=broken, histories=HISTORIES)


@dataclass(frozen=True)
class Rounded:
    balance: Annotated[Decimal, Places(1)]


@dataclass(frozen=True)
class Large:
    number: int


@dataclass(frozen=True)
class Broken:
    text: str


STATES: list[tuple[Any, Any, str]] = [
    (Rounded, lambda at: Rounded(Decimal("0.25")), "a row is read as another"),
    (Large, lambda at: Large(10**38 + 1), "column number: DynamoDB cannot hold"),
    (Broken, lambda at: Broken("\ud800"), "surrogates not allowed"),
    (Broken, lambda at: Broken("x" * 500_000), "DynamoDB holds 409600"),
]


@pytest.mark.parametrize(("state", "made", "reason"), STATES)
def test_a_column_that_loses_something(goes_red: Goes, state: Any, made: Any, reason: str) -> None:
    broken = Projection("broken", "broken", (ACCOUNT,), Columns(state), lambda *_: made(None))
    goes_red(ProjectionContract, HOLDABLE, reason, projection=broken, histories=HISTORIES)


def test_a_number_that_a_client_can_make_too_long(goes_red: Goes) -> None:
    class Unbounded(Earn):
        points: PointCount

    drawn = histories(MEMBER, commands(replace(MEMBERS, commands=(Unbounded,))))
    reason = "column points: DynamoDB cannot hold"
    goes_red(ProjectionContract, HOLDABLE, reason, projection=POINTS_BALANCE, histories=drawn)


@pytest.mark.parametrize(
    ("part", "reason"),
    [
        ({"part": lambda *_: "~~"}, "does not sort among the parts"),
        ({"part": lambda *_: ""}, "does not sort among the parts"),
        ({"part": lambda *_: "2026-01-31" * 200}, "is longer than 1024 bytes"),
        (
            {"parse_part": str.upper, "part": lambda *_: "january"},
            "a client who names part 'january' is shown 'JANUARY'",
        ),
    ],
)
def test_a_part_that_no_client_can_name(goes_red: Goes, part: Any, reason: str) -> None:
    broken = replace(DAILY_ACTIVITY, **part)
    goes_red(ProjectionContract, HOLDABLE, reason, projection=broken, histories=HISTORIES)


OLDER = "test_old_payloads_lead_to_the_same_rows"


def test_a_fold_that_reads_the_payload_itself(goes_red: Goes) -> None:
    def fold(state: Count | None, event: BettingEvent, stored: StoredEvent) -> Count:
        return Count(len(json.loads(stored.payload)))

    attributes = {"projection": counted(fold), "histories": HISTORIES, "old_payloads": OLD}
    goes_red(ProjectionContract, OLDER, "BetPlaced of an older schema", **attributes)


def test_an_older_payload_that_is_not_given(goes_red: Goes) -> None:
    reason = "old_payloads lacks ('BetPlaced', 1)"
    goes_red(ProjectionContract, OLDER, reason, projection=BALANCE_SUMMARY, histories=HISTORIES)


def test_histories_that_lack_an_event(goes_red: Goes) -> None:
    lacking = st.just(History.of(ACCOUNT, [FundsDeposited(amount=Decimal(1), currency="EUR")]))
    test, reason = "test_every_event_is_in_some_history", "no history has a BetPlaced, BetSettled, FundsWithdrawn:"
    goes_red(ProjectionContract, test, reason, projection=BALANCE_SUMMARY, histories=lacking)


def test_a_projection_of_two_types_keeps_the_contract(stays_green: Goes) -> None:
    def fold(state: Count | None, event: Any, stored: StoredEvent) -> Count:
        return Count((state.count if state else 0) + 1)

    both = Projection("both", "both", (ACCOUNT, MEMBER), Columns(Count), fold)
    members = histories(MEMBER, commands(MEMBERS))
    stays_green(ProjectionContract, projection=both, histories=HISTORIES | members, old_payloads=OLD)
