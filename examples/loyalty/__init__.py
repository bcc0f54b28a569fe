"""Loyalty points, a second domain: points are earned, redeemed and expire (`kinfold demo --domain loyalty`)."""

from loyalty.member import MEMBER
from loyalty.points_balance import POINTS_BALANCE
from loyalty.resource import MEMBERS
from loyalty.traffic import traffic

AGGREGATES = (MEMBER,)
RESOURCES = (MEMBERS,)
PROJECTIONS = (POINTS_BALANCE,)
TRAFFIC = (traffic,)
