"""The read model: one row a member, served at GET /points/{memberId}."""

from dataclasses import dataclass, replace
from datetime import date
from typing import assert_never

from loyalty.member import MEMBER, LoyaltyEvent, PointsEarned, PointsExpired, PointsRedeemed
from projector import Columns, Projection, StoredEvent


@dataclass(frozen=True)
class PointsBalance:
    points: int = 0
    earned: int = 0
    expired: int = 0
    last_reward: str | None = None
    last_redeemed_on: date | None = None


def fold(balance: PointsBalance | None, event: LoyaltyEvent, stored: StoredEvent) -> PointsBalance:
    before = balance or PointsBalance()
    match event:
        case PointsEarned(points=points):
            return replace(before, points=before.points + points, earned=before.earned + points)
        case PointsRedeemed(points=points, reward=reward):
            day = date.fromisoformat(stored.occurred_at[:10])
            return replace(before, points=before.points - points, last_reward=reward, last_redeemed_on=day)
        case PointsExpired(points=points):
            return replace(before, points=before.points - points, expired=before.expired + points)
        case _:
            assert_never(event)


POINTS_BALANCE = Projection("points-balance", "points", (MEMBER,), Columns(PointsBalance), fold)
