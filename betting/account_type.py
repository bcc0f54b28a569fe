"""The account as the ledger keeps it."""

from typing import Final

from betting.account import Account
from betting.events import EVENTS, BetSettled, BettingEvent
from betting.snapshots import AccountSnapshots
from ledger.aggregates import AggregateType, Archive, Identifier

#: Bets that weigh as much as an account without any: they take some 10 KB.
_BETS_AS_ONE: Final = 100


def _settled_by(event: BettingEvent) -> str | None:
    return event.bet_id if isinstance(event, BetSettled) else None


def _weight(account: Account) -> int:
    return 1 + (len(account.open_bets) + len(account.settled_bets)) // _BETS_AS_ONE


ACCOUNT: Final = AggregateType[Account, BettingEvent](
    name="account",
    events=EVENTS,
    initial=Account,
    fold=Account.apply,
    snapshots=AccountSnapshots(),
    copy=Account.copy,
    ids=Identifier("an account id"),
    bare_ids=True,
    archive=Archive(ids=lambda account: account.settled_bets, used_by=_settled_by),
    weight=_weight,
)
