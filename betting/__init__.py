"""The betting domain: accounts that hold money and bets, and their read models. It comes with Kinfold."""

from typing import Final

from betting.account_type import ACCOUNT
from betting.projections import PROJECTIONS
from betting.resources import ACCOUNTS
from betting.traffic import traffic

AGGREGATES: Final = (ACCOUNT,)
RESOURCES: Final = (ACCOUNTS,)
TRAFFIC: Final = (traffic,)

__all__ = ["AGGREGATES", "PROJECTIONS", "RESOURCES", "TRAFFIC"]
