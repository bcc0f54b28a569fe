"""The account and its read models, held to what the machine relies on."""

from decimal import Decimal
from typing import Final

from hypothesis import strategies as st

from betting.account_type import ACCOUNT
from betting.projections.balance_summary import BALANCE_SUMMARY
from betting.projections.daily_activity import DAILY_ACTIVITY
from betting.resources import ACCOUNTS
from kinfold.testing import AggregateContract, ProjectionContract, commands, histories

AMOUNTS: Final = st.integers(1, 500).map(lambda cents: Decimal(cents).scaleb(-2))
COMMANDS: Final = commands(
    ACCOUNTS,
    amount=AMOUNTS,
    stake=AMOUNTS,
    payout=AMOUNTS | st.just(Decimal(0)),
    bet_id=st.sampled_from(["b1", "b2", "b3"]),
    currency=st.sampled_from(["EUR", "EUR", "EUR", "USD"]),
)
HISTORIES: Final = histories(ACCOUNT, COMMANDS)
#: As it was stored before a bet had a name of its own.
OLD: Final = {("BetPlaced", 1): '{"schemaVersion":1,"stake":"4.00","currency":"EUR"}'}


class TestAccount(AggregateContract):
    aggregate = ACCOUNT
    commands = COMMANDS
    old_payloads = OLD


class TestBalanceSummary(ProjectionContract):
    projection = BALANCE_SUMMARY
    histories = HISTORIES
    old_payloads = OLD


class TestDailyActivity(ProjectionContract):
    projection = DAILY_ACTIVITY
    histories = HISTORIES
    old_payloads = OLD
