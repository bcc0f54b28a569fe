"""The member and its read model, held to what the machine relies on."""

from kinfold.testing import AggregateContract, ProjectionContract, commands, histories
from loyalty.member import MEMBER
from loyalty.points_balance import POINTS_BALANCE
from loyalty.resource import MEMBERS


class TestMember(AggregateContract):
    aggregate = MEMBER
    commands = commands(MEMBERS)


class TestPointsBalance(ProjectionContract):
    projection = POINTS_BALANCE
    histories = histories(MEMBER, commands(MEMBERS))
