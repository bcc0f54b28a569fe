"""A projector's parts on real tables, what they cost, and faults on their way to the endpoint."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from betting.projections import PROJECTIONS
from betting.projections.balance_summary import BALANCE_SUMMARY, BalanceSummary
from faust_kinesis.records import RecordBatch
from ledger.runtime.aws import Clients
from ledger.store.event_store import EventStore
from ledger.store.stored_event import StoredEvent
from ledger.store.tables import Names
from projector.components import Components, build_components
from projector.engine.provisioning import prepare
from projector.engine.read_model import ReadModel
from projector.ingest.batch_handler import BatchHandler
from projector.settings import ProjectorSettings
from tests.support.accounts import batch

MakeComponents = Callable[[], Components]


@pytest.fixture
def executor() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as pool:
        yield pool


@pytest.fixture
def projector_settings(aws_endpoint: str, profile: str) -> ProjectorSettings:
    return ProjectorSettings.model_validate({"profile": profile, "endpoint_url": aws_endpoint, "region": "us-east-1"})


@pytest.fixture
def components(
    projector_settings: ProjectorSettings, clients: Clients, ledger_tables: Names, executor: ThreadPoolExecutor
) -> Components:
    """A projector's parts with all tables made; ``clients`` are the test's, so that it can count and break calls."""
    prepare(clients.dynamodb, ledger_tables, PROJECTIONS)
    return build_components(projector_settings, clients, executor)


@pytest.fixture
def another(
    components: Components,
    projector_settings: ProjectorSettings,
    make_clients: Callable[[], Clients],
    executor: ThreadPoolExecutor,
) -> MakeComponents:
    """Makes the parts of one more process."""
    return lambda: build_components(projector_settings, make_clients(), executor)


@pytest.fixture
def store(components: Components) -> EventStore:
    return components.store


@pytest.fixture
def handler(components: Components) -> BatchHandler:
    return components.batch_handler()


def deliver(handler: BatchHandler, components: Components, *records: StoredEvent | bytes) -> RecordBatch:
    """Hand over one batch and see it completed."""
    delivered = batch(components.names.events, *records)
    asyncio.run(handler.handle([delivered]))
    assert delivered.completed
    return delivered


@pytest.fixture
def summaries(components: Components) -> ReadModel[BalanceSummary]:
    return components.models.model(BALANCE_SUMMARY, 1)


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
