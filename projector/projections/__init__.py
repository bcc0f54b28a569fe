"""The read models. A projection is one file here, with its fold and its state, and one line below."""

from typing import Any, Final

from projector.projection import Projection
from projector.projections.balance_summary import BALANCE_SUMMARY
from projector.projections.daily_activity import DAILY_ACTIVITY

PROJECTIONS: Final[tuple[Projection[Any], ...]] = (
    BALANCE_SUMMARY,
    DAILY_ACTIVITY,
)
