"""A second aggregate type beside the account, in the same table: a voucher, which is charged and spent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Annotated, Final, Literal, assert_never, get_args

from pydantic import Field
from typing_extensions import override

from ledger.aggregates.aggregate_type import AggregateType, JsonSnapshots
from ledger.aggregates.errors import RefusedError
from ledger.aggregates.events import Event, EventTypes
from ledger.store.stored_event import StoredEvent
from projector.columns import Columns
from projector.projection import Projection, UnprojectableEventError
from writer.resource import Command

Points = Annotated[int, Field(ge=1)]


class VoucherCharged(Event):
    """Points were put on it."""

    event_type = "VoucherCharged"
    schema_version: Literal[1] = 1
    amount: Points


class VoucherSpent(Event):
    """Points were taken from it."""

    event_type = "VoucherSpent"
    schema_version: Literal[1] = 1
    amount: Points


VoucherEvent = VoucherCharged | VoucherSpent


@dataclass(frozen=True, slots=True)
class Voucher:
    """The points that are left."""

    left: int = 0


def _voucher_after(voucher: Voucher, event: VoucherEvent) -> Voucher:
    match event:
        case VoucherCharged():
            return Voucher(voucher.left + event.amount)
        case VoucherSpent():
            return Voucher(voucher.left - event.amount)
        case _:
            assert_never(event)


VOUCHER: Final = AggregateType[Voucher, VoucherEvent](
    name="voucher",
    events=EventTypes(get_args(VoucherEvent)),
    initial=lambda _: Voucher(),
    fold=_voucher_after,
    snapshots=JsonSnapshots(Voucher),
)


class TooFewPointsError(RefusedError):
    """There are not that many points left."""

    rule = "too-few-points"


class Charge(Command[Voucher]):
    """Put points on a voucher."""

    path = "/charges"
    amount: Points

    @override
    def decide(self, state: Voucher) -> Sequence[Event]:
        return [VoucherCharged(amount=self.amount)]


class Spend(Command[Voucher]):
    """Take points from a voucher."""

    path = "/payments"
    refusals = (TooFewPointsError,)
    amount: Points

    @override
    def decide(self, state: Voucher) -> Sequence[Event]:
        if self.amount > state.left:
            raise TooFewPointsError(f"{state.left} points are left, not {self.amount}")
        return [VoucherSpent(amount=self.amount)]


@dataclass(frozen=True, slots=True)
class VoucherBalance:
    """The fold of a voucher's events, in columns of other kinds than an account's rows have."""

    left: int = 0
    charged: int = 0
    empty: bool = True
    spent_on: date | None = None


def _balance_after(balance: VoucherBalance | None, event: VoucherEvent, stored: StoredEvent) -> VoucherBalance:
    before = balance or VoucherBalance()
    match event:
        case VoucherCharged(amount=amount):
            return replace(before, left=before.left + amount, charged=before.charged + amount, empty=False)
        case VoucherSpent(amount=amount):
            left = before.left - amount
            if left < 0:
                raise UnprojectableEventError(stored.aggregate_id, stored.sequence_number, f"it leaves {left} points")
            return replace(before, left=left, empty=left == 0, spent_on=date.fromisoformat(stored.occurred_at[:10]))
        case _:
            assert_never(event)


VOUCHER_BALANCE: Final = Projection("voucher-balance", "vouchers", (VOUCHER,), Columns(VoucherBalance), _balance_after)

AGGREGATES: Final = (VOUCHER,)
PROJECTIONS: Final = (VOUCHER_BALANCE,)
