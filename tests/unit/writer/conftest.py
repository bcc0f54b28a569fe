from collections.abc import AsyncIterator, Callable, Iterator, MutableMapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, cast

import httpx
import pytest
import structlog
from fastapi import FastAPI
from structlog.testing import capture_logs

from ledger.errors import VersionConflictError
from ledger.event_store import EventStore, History, ProvenVersion
from ledger.events import DomainEvent, FundsDeposited, encode_payload
from ledger.stored_event import StoredEvent, timestamp
from writer.accounts import Accounts
from writer.api import build_api
from writer.metrics import Metrics
from writer.settings import WriterSettings


class MemoryStore:
    """An event store in memory, in whose calls other writers and failures can step in."""

    def __init__(self) -> None:
        self.stored: dict[str, list[StoredEvent]] = {}
        self.before_append: Callable[[], None] = lambda: None
        self.before_read: Callable[[], None] = lambda: None
        self.read_after: list[int] = []

    def load(self, aggregate_id: str, *, after: int = 0, until: int | None = None) -> History:
        self.before_read()
        self.read_after.append(after)
        events = self.stored.get(aggregate_id, [])
        return History(events[after:until], ProvenVersion(aggregate_id, min(len(events), until or len(events))))

    def version(self, aggregate_id: str) -> ProvenVersion:
        self.before_read()
        return ProvenVersion(aggregate_id, len(self.stored.get(aggregate_id, [])))

    def append(
        self,
        aggregate_id: str,
        events: Sequence[DomainEvent],
        expected: ProvenVersion,
        *,
        aggregate_type: str,
        correlation_id: str,
    ) -> History:
        self.before_append()
        actual = len(self.stored.get(aggregate_id, []))
        if actual != expected.number:
            raise VersionConflictError(
                aggregate_id, expected=expected.number, actual=actual, conflicting=expected.number + 1
            )
        return self.add(aggregate_id, *events, correlation_id=correlation_id)

    def add(self, aggregate_id: str, *events: DomainEvent, correlation_id: str = "another") -> History:
        history = self.stored.setdefault(aggregate_id, [])
        added = [
            StoredEvent(
                aggregate_id,
                number,
                "account",
                event.event_type,
                encode_payload(event),
                timestamp(datetime.now(UTC)),
                correlation_id,
            )
            for number, event in enumerate(events, start=len(history) + 1)
        ]
        history += added
        return History(added, ProvenVersion(aggregate_id, len(history)))

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
def accounts(store: MemoryStore) -> Accounts:
    return Accounts(cast("EventStore", store))


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def settings() -> WriterSettings:
    return WriterSettings.model_validate({"profile": "unit", "writer_conflict_retries": 3, "writer_threads": 2})


@pytest.fixture
def api(accounts: Accounts, settings: WriterSettings, metrics: Metrics) -> FastAPI:
    return build_api(accounts, settings, metrics)


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
