"""The read models. A projection is one file here, with its fold and its state, and one line below."""

from typing import Any, Final

from betting.projections.balance_summary import BALANCE_SUMMARY
from betting.projections.daily_activity import DAILY_ACTIVITY
from projector import Projection

PROJECTIONS: Final[tuple[Projection[Any], ...]] = (
    BALANCE_SUMMARY,
    DAILY_ACTIVITY,
)
