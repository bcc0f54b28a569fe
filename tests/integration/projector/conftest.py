"""A projector on real tables, and what it costs."""

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from ledger.aws import Clients
from ledger.event_store import EventStore
from ledger.tables import Names
from projector.read_model import SummaryTable


@pytest.fixture
def executor() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as pool:
        yield pool


@pytest.fixture
def store(clients: Clients, ledger_tables: Names) -> EventStore:
    return EventStore(clients.dynamodb, ledger_tables.events)


@pytest.fixture
def summaries(clients: Clients, ledger_tables: Names, executor: ThreadPoolExecutor) -> SummaryTable:
    return SummaryTable(clients.dynamodb, ledger_tables.balance_summary(), executor)


@pytest.fixture
def calls(clients: Clients) -> Counter[str]:
    """How often each DynamoDB operation was called on ``clients``."""
    counted: Counter[str] = Counter()

    def count(model: Any, **_: object) -> None:
        counted[model.name] += 1

    clients.dynamodb.meta.events.register("before-call.dynamodb.*", count)
    return counted


@pytest.fixture
def fail_next(clients: Clients) -> Callable[[str, Any], None]:
    """Make the next call of an operation fail on the client's side with the given error, before anything is sent."""

    def arm(operation: str, error: BaseException) -> None:
        event = f"before-call.dynamodb.{operation}"

        def fail(**_: object) -> None:
            clients.dynamodb.meta.events.unregister(event, fail)
            raise error

        clients.dynamodb.meta.events.register(event, fail)

    return arm
