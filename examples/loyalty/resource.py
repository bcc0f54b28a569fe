"""A member over HTTP: POST /members/{memberId}/earnings, /redemptions and /expiry."""

from typing import Annotated

from pydantic import Field

from ledger.aggregates import RefusedError
from loyalty.member import MEMBER, LoyaltyEvent, Member, PointCount, PointsEarned, PointsExpired, PointsRedeemed
from writer import Command, Resource, View

# A client can send a number of any length; the read model's table holds 38 digits.
Asked = Annotated[PointCount, Field(le=1_000_000_000)]


class NotEnoughPointsError(RefusedError):
    rule = "not-enough-points"
    example = "there are 70 points, not 100"


class Earn(Command[Member]):
    """Earn points."""

    path = "/earnings"
    points: Asked

    def decide(self, state: Member) -> list[LoyaltyEvent]:
        return [PointsEarned(points=self.points)]


class Redeem(Command[Member]):
    """Redeem points for a reward."""

    path = "/redemptions"
    refusals = (NotEnoughPointsError,)
    points: Asked
    reward: str

    def decide(self, state: Member) -> list[LoyaltyEvent]:
        if self.points > state.points:
            raise NotEnoughPointsError(f"there are {state.points} points, not {self.points}")
        return [PointsRedeemed(points=self.points, reward=self.reward)]


class Expire(Command[Member]):
    """Let all points expire."""

    path = "/expiry"
    refusals = (NotEnoughPointsError,)

    def decide(self, state: Member) -> list[LoyaltyEvent]:
        if state.points == 0:
            raise NotEnoughPointsError("there are no points")
        return [PointsExpired(points=state.points)]


class Points(View[Member]):
    """A member's points."""

    points: int


MEMBERS = Resource(aggregate=MEMBER, path="members", commands=(Earn, Redeem, Expire), view=Points)
