from collections.abc import AsyncIterator, Callable, Iterator, MutableMapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, cast

import httpx
import pytest
import structlog
from fastapi import FastAPI
from structlog.testing import capture_logs

from betting import RESOURCES
from betting.events import BettingEvent, FundsDeposited
from ledger.runtime.auth import Access
from ledger.store.errors import CommandRecordedError, VersionConflictError
from ledger.store.event_store import EventStore, History, ProvenVersion
from ledger.store.idempotency_keys import IdempotencyKeys
from ledger.store.snapshots import SnapshotStore
from ledger.store.stored_event import EventReference, StoredEvent, timestamp
from ledger.store.transactions import CommandPut, Draft
from writer.commands.aggregate_repository import AggregateRepository
from writer.commands.snapshot_writer import SnapshotWriter
from writer.http.app import build_api
from writer.metrics import Metrics
from writer.settings import WriterSettings

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


class MemoryCommands:
    """A commands table in memory."""

    def __init__(self) -> None:
        self.items: dict[str, Any] = {}
        self.before_find: Callable[[], None] = lambda: None

    def get_item(self, *, Key: Any, **_: Any) -> Any:  # noqa: N803 - boto3's name
        self.before_find()
        item = self.items.get(Key["commandId"]["S"])
        return {"Item": item} if item else {}

    def put(self, *puts: CommandPut) -> None:
        if taken := [put.command_id for put in puts if not self._free(put)]:
            raise CommandRecordedError("recorded", taken)
        self.items |= {put.command_id: put.item for put in puts}

    def _free(self, put: CommandPut) -> bool:
        found = self.items.get(put.command_id)
        worthless = found and ":lost" in put.values and found["eventHash"] == put.values[":lost"]
        return not found or worthless or int(found["expiresAt"]["N"]) <= int(put.values[":now"]["N"])


class MemoryStore:
    """An event store in memory, in whose calls other writers and failures can step in."""

    def __init__(self) -> None:
        self.stored: dict[str, list[StoredEvent]] = {}
        self.before_append: Callable[[], None] = lambda: None
        self.before_read: Callable[[], None] = lambda: None
        self.read_after: list[int] = []
        self.appended: list[int] = []
        self.drafted: list[StoredEvent] = []
        self.write_units = 0.0
        self.same_table = True
        self.commands = MemoryCommands()

    def load(self, aggregate_id: str, *, after: int = 0, until: int | None = None) -> History:
        self.before_read()
        self.read_after.append(after)
        events = self.stored.get(aggregate_id, [])[:until]
        follows = events[after - 1].event_hash if 0 < after <= len(events) else None
        last = events[-1].event_hash if events else None
        return History(events[after:], ProvenVersion(aggregate_id, len(events), last), follows)

    def probe(self) -> None:
        self.before_read()

    def version(self, aggregate_id: str) -> ProvenVersion:
        self.before_read()
        return ProvenVersion(aggregate_id, len(self.stored.get(aggregate_id, [])))

    def commit(self, draft: Draft, expected: ProvenVersion, *, retry_seconds: float) -> History:
        self.drafted = draft.events
        self.before_append()
        actual = len(self.stored.get(draft.aggregate_id, []))
        if actual != expected.number:
            raise VersionConflictError(
                draft.aggregate_id, expected=expected.number, actual=actual, conflicting=expected.number + 1
            )
        self.commands.put(*draft.commands)
        self.appended.append(len(draft.events))
        return replace(self._store(draft.aggregate_id, draft.events), write_units=self.write_units)

    def vouches(self, version: ProvenVersion) -> bool:
        return self.same_table

    def holds(self, event: EventReference) -> bool:
        return any(each.reference == event for each in self.stored.get(event.aggregate_id, []))

    def hash(self, aggregate_id: str, number: int) -> str:
        return self.stored[aggregate_id][number - 1].event_hash

    def read(self, aggregate_id: str, *, after: int = 0, until: int | None = None) -> Iterator[StoredEvent]:
        self.before_read()
        self.read_after.append(after)
        return iter(self.stored.get(aggregate_id, [])[after:until])

    def newest(self, aggregate_id: str, *, until: int | None = None, limit: int) -> list[StoredEvent]:
        self.before_read()
        return self.stored.get(aggregate_id, [])[:until][::-1][:limit]

    def tail(self, aggregate_id: str, *, limit: int) -> History:
        self.before_read()
        events = self.stored.get(aggregate_id, [])
        self.read_after.append(max(0, len(events) - limit))
        last = events[-1].event_hash if events else None
        return History(events[-limit:], ProvenVersion(aggregate_id, len(events), last))

    def add(self, aggregate_id: str, *events: BettingEvent, correlation_id: str = "another") -> History:
        return self._store(aggregate_id, self._events(aggregate_id, events, correlation_id))

    def _events(self, aggregate_id: str, events: Sequence[BettingEvent], correlation_id: str) -> list[StoredEvent]:
        return [
            StoredEvent(
                aggregate_id,
                number,
                "account",
                event.event_type,
                event.payload(),
                timestamp(datetime.now(UTC)),
                correlation_id,
            )
            for number, event in enumerate(events, start=len(self.stored.get(aggregate_id, [])) + 1)
        ]

    def _store(self, aggregate_id: str, added: list[StoredEvent]) -> History:
        history = self.stored.setdefault(aggregate_id, [])
        history += added
        return History(added, ProvenVersion(aggregate_id, len(history), history[-1].event_hash))

    def others_are_faster(self, times: int, account_id: str = "alice") -> None:
        """Another writer deposits one unit of money before each of the next appends."""
        left = times

        def deposit() -> None:
            nonlocal left
            if left:
                left -= 1
                self.add(account_id, FundsDeposited(amount=Decimal(1), currency="EUR"))

        self.before_append = deposit


@pytest.fixture(autouse=True)
def log_lines() -> Iterator[list[MutableMapping[str, Any]]]:
    """What is logged, kept instead of printed."""
    with capture_logs(processors=(structlog.contextvars.merge_contextvars,)) as lines:
        yield lines


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def accounts(store: MemoryStore, metrics: Metrics) -> AggregateRepository:
    snapshots = SnapshotWriter(cast("SnapshotStore", None), metrics, interval=0)
    return AggregateRepository(cast("EventStore", store), snapshots, held=100)


@pytest.fixture
def keys(store: MemoryStore) -> IdempotencyKeys:
    return IdempotencyKeys(cast("DynamoDBClient", store.commands), "commands", retention=3600)


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def settings() -> WriterSettings:
    return WriterSettings.model_validate({"profile": "unit", "writer_conflict_retries": 3, "writer_threads": 2})


@pytest.fixture
def api(accounts: AggregateRepository, keys: IdempotencyKeys, settings: WriterSettings, metrics: Metrics) -> FastAPI:
    return build_api(RESOURCES, accounts, keys, settings, Access(None), metrics)


@pytest.fixture
async def http(api: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with (
        api.router.lifespan_context(api),
        httpx.AsyncClient(transport=httpx.ASGITransport(api), base_url="http://writer") as client,
    ):
        yield client


@pytest.fixture
def opened(store: MemoryStore) -> str:
    """An account at version 1 that holds 10.00 EUR."""
    store.add("alice", FundsDeposited(amount=Decimal(10), currency="EUR"))
    return "alice"
