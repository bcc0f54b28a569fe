"""Made-up commands for a load: pure and seedable, so that a run can be repeated.

A generator keeps its own money: it never takes out of an account what it did not put in itself. However many
generators share an account, only the commands that are meant to be refused are refused.
"""

import itertools
import random
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from writer import MadeUpCommand, TrafficPlan

#: Skew of the choice of accounts: a few take most of the commands, as with real customers.
ZIPF_EXPONENT: Final = 1.1
#: One account in one currency each, by turns.
CURRENCIES: Final = ("EUR", "GBP", "USD")
#: More than any account can hold here, less than an amount may have digits.
OVERDRAFT: Final = "999999999.99"
_OVERDRAFT_SHARE: Final = 0.03
_LOST_BETS: Final = 0.55


def traffic(plan: TrafficPlan) -> Iterator[MadeUpCommand]:
    """Commands on accounts; the first one on an account is a deposit."""
    source = _Source(plan)
    while True:
        yield source.next_command()


@dataclass(slots=True)
class _Purse:
    """What one generator has on one account, in hundredths, and its open bets: id and stake, oldest first."""

    cents: int = 0
    bets: deque[tuple[str, int]] = field(default_factory=deque)


class _Source:
    def __init__(self, plan: TrafficPlan) -> None:
        self._random = random.Random(f"{plan.seed}/{plan.stream}")  # noqa: S311 - made-up traffic, no secret
        self._ids = [f"{plan.prefix}-{number:05d}" for number in range(plan.count)]
        self._weights = list(itertools.accumulate(1 / (rank**ZIPF_EXPONENT) for rank in range(1, plan.count + 1)))
        self._purses: dict[int, _Purse] = {}
        self._stream = plan.stream
        self._bets = itertools.count(1)

    def next_command(self) -> MadeUpCommand:
        account = self._random.choices(range(len(self._ids)), cum_weights=self._weights)[0]
        if account not in self._purses:
            self._purses[account] = _Purse()
            return self._deposit(account)
        purse = self._purses[account]
        if self._random.random() < _OVERDRAFT_SHARE:
            return self._command(account, "withdrawals", refused=True, amount=OVERDRAFT)
        kind = self._random.choices(("deposit", "withdrawal", "bet", "settlement"), (20, 15, 35, 30))[0]
        if kind == "settlement" and purse.bets:
            return self._settle(account, purse)
        if kind == "withdrawal" and purse.cents >= 2_00:
            return self._withdraw(account, purse)
        if kind == "bet" and purse.cents >= 1_00:
            return self._bet(account, purse)
        return self._deposit(account)

    def _deposit(self, account: int) -> MadeUpCommand:
        cents = self._random.randint(10_00, 200_00)
        self._purses[account].cents += cents
        return self._command(account, "deposits", amount=_amount(cents))

    def _withdraw(self, account: int, purse: _Purse) -> MadeUpCommand:
        cents = self._random.randint(1_00, min(purse.cents, 50_00))
        purse.cents -= cents
        return self._command(account, "withdrawals", amount=_amount(cents))

    def _bet(self, account: int, purse: _Purse) -> MadeUpCommand:
        stake = self._random.randint(1_00, min(purse.cents, 20_00))
        bet_id = f"bet-{self._stream}-{next(self._bets)}"
        purse.cents -= stake
        purse.bets.append((bet_id, stake))
        return self._command(account, "bets", betId=bet_id, stake=_amount(stake))

    def _settle(self, account: int, purse: _Purse) -> MadeUpCommand:
        bet_id, stake = purse.bets.popleft()
        payout = 0 if self._random.random() < _LOST_BETS else round(stake * self._random.uniform(1.1, 3))
        purse.cents += payout
        return self._command(account, f"bets/{bet_id}/settlement", payout=_amount(payout))

    def _command(self, account: int, action: str, *, refused: bool = False, **body: str) -> MadeUpCommand:
        account_id = self._ids[account]
        body["currency"] = CURRENCIES[account % len(CURRENCIES)]
        return MadeUpCommand(account_id, f"/accounts/{account_id}/{action}", body, refused)


def _amount(cents: int) -> str:
    return f"{cents // 100}.{cents % 100:02d}"
