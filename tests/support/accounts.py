"""Deposits on accounts in every form in which tests need them: domain events, appended, stored, delivered."""

import json
import uuid
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from decimal import Decimal
from itertools import count as count_from
from typing import TYPE_CHECKING, Final

from msgspec import structs

from betting.account import Account
from betting.account_type import ACCOUNT
from betting.events import BettingEvent, FundsDeposited
from faust_kinesis.records import Record, RecordBatch
from ledger.aggregates.aggregate_type import Aggregate
from ledger.store.change_record import encode
from ledger.store.event_store import EventStore, History, ProvenVersion
from ledger.store.stored_event import StoredEvent
from ledger.store.transactions import Draft
from writer.commands.aggregate_repository import AggregateRepository, Loaded

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

#: Payloads of a deposit of 10.00: as no fold can read it, and as it should be.
UNREADABLE: Final = '{"schemaVersion":1,"amount":"ten","currency":"EUR"}'
READABLE: Final = '{"schemaVersion":1,"amount":"10.00","currency":"EUR"}'
_sequence_numbers = count_from(1)


def deposits(count: int = 1, amount: int = 1) -> list[BettingEvent]:
    """Equal deposits, of 1.00 unless said otherwise."""
    return [FundsDeposited(amount=Decimal(amount), currency="EUR")] * count


def rising_deposits(count: int, first: int = 1) -> list[BettingEvent]:
    """Deposits of 1.00, 2.00, 3.00 and so on: no two alike."""
    return [FundsDeposited(amount=Decimal(first + number), currency="EUR") for number in range(count)]


def append(
    store: EventStore,
    account_id: str,
    events: Sequence[BettingEvent],
    expected: ProvenVersion | int | None = None,
    *,
    correlation_id: str = "test",
    now: datetime | None = None,
) -> History:
    """Append in one transaction at the version ``expected``, by default the one that the account has."""
    version = store.version(account_id) if expected is None else expected
    return store.append(
        account_id, events, version, aggregate_type=ACCOUNT.name, correlation_id=correlation_id, now=now
    )


def aggregate_of(account: Account) -> Aggregate[Account, BettingEvent]:
    """The account as the ledger knows it."""
    return Aggregate(ACCOUNT, account.account_id, account.version, account)


def save(
    accounts: AggregateRepository, loaded: Loaded, events: Sequence[BettingEvent], correlation_id: str = "test"
) -> Loaded:
    """Append events to a loaded account, as the writer does for one command."""
    account = loaded.aggregate.copy()
    draft = Draft(account.key, account.version, ACCOUNT.name)
    draft.add(events, correlation_id)
    for event in events:
        account.apply(event)
    return accounts.save(loaded, account, draft, 10)[0]


def is_held(accounts: AggregateRepository, account_id: str) -> bool:
    """Whether the writer holds the account, and may append to it without a look."""
    held = accounts.take(account_id)
    if held is not None:
        accounts.keep(held)
    return held is not None


def deposit(
    store: EventStore, account_id: str | None = None, count: int = 1, now: datetime | None = None, *, at_once: int = 100
) -> list[StoredEvent]:
    """Append deposits of 1.00 to an account, a new one unless named, so many in a transaction."""
    version: ProvenVersion | int = 0 if account_id is None else store.version(account_id)
    account_id = account_id or f"acc-{uuid.uuid4().hex[:12]}"
    stored: list[StoredEvent] = []
    for start in range(0, count, at_once):
        history = append(store, account_id, deposits(min(at_once, count - start)), version, now=now)
        version, stored = history.version, stored + history.events
    return stored


def deposit_on_each(store: EventStore, accounts: int, count: int, prefix: str = "acc") -> list[str]:
    """Append ``count`` deposits of 1.00 to each of so many new accounts, several at a time; gives the accounts."""
    account_ids = [f"{prefix}-{number}" for number in range(accounts)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda account_id: deposit(store, account_id, count), account_ids))
    return account_ids


def stored_event(
    account_id: str = "alice", number: int = 1, payload: str = READABLE, *, event_type: str = "FundsDeposited"
) -> StoredEvent:
    """An event as the store would give it, which no store holds."""
    return StoredEvent(
        account_id, number, ACCOUNT.name, event_type, payload, "2026-01-02T03:04:05.000006+00:00", "test"
    )


def poison(dynamodb: "DynamoDBClient", table: str, after: StoredEvent) -> StoredEvent:
    """Store an event that no fold can read, as a bad deploy of the writer might."""
    bad = structs.replace(after, sequence_number=after.sequence_number + 1, payload=UNREADABLE)
    dynamodb.put_item(TableName=table, Item=bad.to_item())
    return bad


def change_record(event: StoredEvent, table: str, *, name: str = "INSERT") -> bytes:
    """The record of one change to ``table``, also of one that no event store makes.

    AWS, "Using Kinesis Data Streams to capture changes to DynamoDB".
    """
    record = json.loads(encode(event, table, "us-east-1"))
    record["eventName"] = name
    if name == "REMOVE":
        record["dynamodb"]["OldImage"] = record["dynamodb"].pop("NewImage")
    return json.dumps(record).encode()


def batch(table: str, *records: StoredEvent | bytes) -> RecordBatch:
    """A batch of a shard: change records of ``table``, or bytes as they are."""
    now = datetime.now(UTC)
    data = (each if isinstance(each, bytes) else change_record(each, table) for each in records)
    return RecordBatch(
        "stream",
        "shardId-000000000000",
        tuple(Record(each, "pk", str(next(_sequence_numbers)), now) for each in data),
        0,
    )
