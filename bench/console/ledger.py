"""What the console looks at: a ledger with one long history, some short ones, dead letters and an audit log."""

import itertools
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Final

from aws_client.batch_writes import MAX_PUTS, BatchPut
from betting.account_type import ACCOUNT
from betting.events import BetPlaced, BetSettled, BettingEvent, FundsDeposited, FundsWithdrawn
from betting.projections import PROJECTIONS
from ledger.audit.audit_log import AuditLog
from ledger.runtime.aws import Clients
from ledger.store.stored_event import StoredEvent, timestamp
from ledger.store.tables import Names
from projector.dead_letters.letters import DeadLetter, DeadLetters, Origin

#: The account with the long history.
LONG: Final = "long-history"
_ACCOUNTS: Final = 300
_LETTERS: Final = 50
_ACTIONS: Final = 40
#: The long history takes a year: so its daily rows are hundreds.
_SPAN: Final = timedelta(days=365)
_CORRELATION: Final = "shop:checkout:" + "c" * 30
#: Seconds until the projector has folded all of it.
_PATIENCE: Final = 300


def fill(clients: Clients, names: Names, events: int, report: Callable[[str], None]) -> None:
    """Store it all, and wait until every read model shows it."""
    report(f"storing a history of {events:,} events ...")
    stored = itertools.chain(history(LONG, events), *(history(f"account-{n}", 1 + n % 5) for n in range(_ACCOUNTS)))
    while some := list(itertools.islice(stored, MAX_PUTS)):
        BatchPut(clients.dynamodb, names.events, [each.to_item() for each in some])()
    letters, audit = DeadLetters(clients.dynamodb, names.dead_letters), AuditLog(clients.dynamodb, names.audit)
    for number in range(_LETTERS):
        reason, origin = f"reason {number % 3}", Origin(names.events)
        letters.store(DeadLetter(reason, origin, b"{}" * 100, PROJECTIONS[0].name, f"account-{number}", 6))
    for number in range(_ACTIONS):
        action = "projector verify" if number % 5 == 0 else "projector status"
        with audit.recording(action, {"number": number}, by="bench") as details:
            models = [{"projection": each.name, "generation": 1, "tally": {}, "findings": []} for each in PROJECTIONS]
            details["readModels"] = models
    report("waiting for the read models ...")
    deadline = time.monotonic() + _PATIENCE
    while not all(_version(clients, each.table(names.profile, 1)) == events for each in PROJECTIONS):
        if time.monotonic() > deadline:
            raise RuntimeError(f"the projector has not folded {events} events in {_PATIENCE} s")
        time.sleep(0.5)


def history(account_id: str, events: int) -> Iterator[StoredEvent]:
    """A history of an account: money comes and goes at random, the same each time."""
    random, balance, open_bet = Random(account_id), Decimal(0), ""
    begin, apart = datetime.now(UTC) - _SPAN, _SPAN / events
    for number in range(1, events + 1):
        made: BettingEvent
        amount = Decimal(random.randint(1, 5000)) / 100
        if open_bet:
            won = Decimal(random.choice((0, 0, 1, 3))) * amount
            made, open_bet = BetSettled(bet_id=open_bet, payout=won, currency="EUR"), ""
            balance += won
        elif balance < amount or random.random() < 0.2:
            made = FundsDeposited(amount=amount, currency="EUR")
            balance += amount
        elif random.random() < 0.1:
            made = FundsWithdrawn(amount=amount, currency="EUR")
            balance -= amount
        else:
            open_bet = f"bet-{number:07d}"
            made = BetPlaced(bet_id=open_bet, stake=amount, currency="EUR")
            balance -= amount
        at = timestamp(begin + number * apart)
        yield StoredEvent(account_id, number, ACCOUNT.name, made.event_type, made.payload(), at, _CORRELATION)


def _version(clients: Clients, table: str) -> int:
    """Of the long history in one read model; the row of its head sorts before its parts."""
    found = clients.dynamodb.query(
        TableName=table,
        KeyConditionExpression="aggregateId = :a",
        ExpressionAttributeValues={":a": {"S": LONG}},
        Limit=1,
        ConsistentRead=True,
    )["Items"]
    return int(found[0]["version"]["N"]) if found else 0
