"""What a member may do with points, and what the read model shows of it."""

from datetime import date

from kinfold.testing import at, given, project
from loyalty.member import MEMBER, PointsEarned, PointsExpired, PointsRedeemed
from loyalty.points_balance import POINTS_BALANCE, PointsBalance
from loyalty.resource import Earn, Expire, NotEnoughPointsError, Redeem


def test_points_are_earned_redeemed_and_expire() -> None:
    member = given(MEMBER).when(Earn(points=100)).then(PointsEarned(points=100))
    member = member.when(Redeem(points=30, reward="mug")).then(PointsRedeemed(points=30, reward="mug"))
    assert member.state.points == 70
    assert member.when(Expire()).then(PointsExpired(points=70)).state.points == 0


def test_all_points_can_be_redeemed_and_not_one_more() -> None:
    member = given(MEMBER, PointsEarned(points=100))
    member.when(Redeem(points=101, reward="mug")).refuses(NotEnoughPointsError, match="there are 100 points, not 101")
    assert (
        member.when(Redeem(points=100, reward="mug")).then(PointsRedeemed(points=100, reward="mug")).state.points == 0
    )


def test_no_points_neither_are_redeemed_nor_expire() -> None:
    given(MEMBER).when(Redeem(points=1, reward="pen")).refuses(NotEnoughPointsError)
    given(MEMBER).when(Expire()).refuses(NotEnoughPointsError, match="there are no points")


def test_the_read_model_shows_the_last_reward_and_its_day() -> None:
    earned, redeemed = PointsEarned(points=100), PointsRedeemed(points=30, reward="mug")
    assert project(POINTS_BALANCE, earned).state == PointsBalance(points=100, earned=100)
    rows = project(POINTS_BALANCE, earned, at("2026-01-31", redeemed), at("2026-02-28", PointsExpired(points=70)))
    assert rows.state == PointsBalance(0, 100, 70, last_reward="mug", last_redeemed_on=date(2026, 1, 31))
