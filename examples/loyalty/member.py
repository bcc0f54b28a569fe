"""The member: what can happen to their points, and what it amounts to."""

from dataclasses import dataclass, replace
from typing import Annotated, Literal, assert_never, get_args

from pydantic import Field

from ledger.aggregates import AggregateType, Event, EventTypes, JsonSnapshots

PointCount = Annotated[int, Field(ge=1)]


class PointsEarned(Event):
    event_type = "PointsEarned"
    schema_version: Literal[1] = 1
    points: PointCount


class PointsRedeemed(Event):
    event_type = "PointsRedeemed"
    schema_version: Literal[1] = 1
    points: PointCount
    reward: str


class PointsExpired(Event):
    event_type = "PointsExpired"
    schema_version: Literal[1] = 1
    points: PointCount


LoyaltyEvent = PointsEarned | PointsRedeemed | PointsExpired


@dataclass(frozen=True)
class Member:
    points: int = 0


def fold(member: Member, event: LoyaltyEvent) -> Member:
    match event:
        case PointsEarned(points=points):
            return replace(member, points=member.points + points)
        case PointsRedeemed(points=points) | PointsExpired(points=points):
            return replace(member, points=member.points - points)
        case _:
            assert_never(event)


MEMBER = AggregateType[Member, LoyaltyEvent](
    name="member",
    events=EventTypes(get_args(LoyaltyEvent)),
    initial=lambda _: Member(),
    fold=fold,
    snapshots=JsonSnapshots(Member),
)
