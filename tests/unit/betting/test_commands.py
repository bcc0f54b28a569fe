from decimal import Decimal

import pytest

from betting.account import Account
from betting.commands import PlaceBet, SettleBet
from betting.events import BetPlaced


@pytest.mark.parametrize(
    "command",
    [
        PlaceBet(bet_id="derby", stake=Decimal(1), currency="EUR"),
        SettleBet(bet_id="derby", payout=Decimal(1), currency="EUR"),
    ],
)
def test_the_archive_is_asked_of_a_bet_unless_it_is_open(command: PlaceBet | SettleBet) -> None:
    account = Account("alice", balance=Decimal(1))
    assert command.used_id(account) == "derby"
    account.apply(BetPlaced(bet_id="derby", stake=Decimal(1), currency="EUR"))
    assert command.used_id(account) is None
