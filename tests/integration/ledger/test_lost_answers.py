"""The network swallows the answer to a write that was carried out: the write still counts once, and succeeds."""

import os
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.awsrequest import AWSPreparedRequest
from botocore.exceptions import ReadTimeoutError

from ledger.errors import EndpointError
from ledger.runtime.aws import Clients
from ledger.store.errors import VersionConflictError
from ledger.store.event_store import EventStore
from ledger.store.stored_event import StoredEvent
from ledger.store.tables import Names
from tests.support.accounts import append, deposits

pytestmark = pytest.mark.integration

#: How often the SDK sends a request before it gives up (ledger.runtime.aws.Clients).
SDK_ATTEMPTS = 4
#: Appends that lose their answer, over twenty accounts; 500 by hand, fewer in every run.
LOST = int(os.environ.get("LOST_ANSWERS", "120"))


class LostAnswers:
    """Lets a request through to the endpoint and drops the answer, as often as asked."""

    def __init__(self, clients: Clients, operation: str) -> None:
        self._client: Any = clients.dynamodb
        self._event = f"before-send.dynamodb.{operation}"
        self.left = 0
        self.sent = 0

    def __enter__(self) -> "LostAnswers":
        self._client.meta.events.register(self._event, self._send)
        return self

    def __exit__(self, *_: object) -> None:
        self._client.meta.events.unregister(self._event, self._send)

    def _send(self, request: AWSPreparedRequest, **_: Any) -> None:
        self.sent += 1
        if self.left:
            self.left -= 1
            self._client._endpoint.http_session.send(request)
            raise ReadTimeoutError(endpoint_url=request.url)


@pytest.fixture(autouse=True)
def sdk_does_not_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    import botocore.endpoint

    monkeypatch.setattr(botocore.endpoint, "time", SimpleNamespace(sleep=lambda _: None))


@pytest.mark.parametrize("lost", [1, SDK_ATTEMPTS - 1, SDK_ATTEMPTS, SDK_ATTEMPTS + 1])
@pytest.mark.parametrize(("operation", "events"), [("PutItem", 1), ("TransactWriteItems", 3)])
def test_a_write_whose_answer_was_lost_counts_once_and_succeeds(
    clients: Clients, store: EventStore, operation: str, events: int, lost: int
) -> None:
    before = append(store, "alice", deposits(), 0, correlation_id="before")
    with LostAnswers(clients, operation) as answers:
        answers.left = lost
        appended = append(store, "alice", deposits(events), before.version)
        assert answers.sent == lost + 1
    assert appended.version.number == 1 + events
    assert store.load("alice").events == before.events + appended.events


def test_a_claimed_append_whose_answer_was_lost_counts_once_and_succeeds(clients: Clients, store: EventStore) -> None:
    before = append(store, "alice", deposits(), 0, correlation_id="before")
    with LostAnswers(clients, "TransactWriteItems") as answers:
        answers.left = SDK_ATTEMPTS
        appended = append(store, "alice", deposits(2), 1)
    assert store.load("alice").events == before.events + appended.events


@pytest.mark.parametrize(("operation", "events"), [("PutItem", 1), ("TransactWriteItems", 3)])
def test_a_resent_write_that_lost_to_another_is_a_conflict(
    clients: Clients, store: EventStore, ledger_tables: Names, operation: str, events: int
) -> None:
    append(store, "alice", deposits(), 0, correlation_id="another's")
    with LostAnswers(clients, operation) as answers:
        answers.left = 1
        with pytest.raises(VersionConflictError) as error:
            append(store, "alice", deposits(events), 0)
    assert (error.value.actual, error.value.conflicting) == (1, 1)
    assert [event.correlation_id for event in store.load("alice").events] == ["another's"]


def test_an_endpoint_that_never_answers_is_a_transient_error(clients: Clients, ledger_tables: Names) -> None:
    store = EventStore(clients.dynamodb, ledger_tables.events, retry_seconds=0.3)
    with LostAnswers(clients, "PutItem") as answers:
        answers.left = 10_000
        with pytest.raises(EndpointError):
            append(store, "alice", deposits(), 0)
    assert [event.correlation_id for event in store.load("alice").events] == ["test"]


@pytest.mark.parametrize(("operation", "events"), [("PutItem", 1), ("TransactWriteItems", 2)])
def test_many_lost_answers_surface_no_conflict_and_double_nothing(
    clients: Clients, store: EventStore, operation: str, events: int
) -> None:
    """Every append loses its first answer; every third, one more."""
    accounts = {f"account-{n}": store.version(f"account-{n}") for n in range(20)}
    appended: dict[str, list[StoredEvent]] = {account: [] for account in accounts}
    with LostAnswers(clients, operation) as answers:
        for n in range(LOST):
            account = f"account-{n % 20}"
            answers.left = 2 if n % 3 == 0 else 1
            history = append(store, account, deposits(events), accounts[account])
            assert answers.left == 0
            accounts[account] = history.version
            appended[account] += history.events
    for account, stored in appended.items():
        assert store.load(account).events == stored
        assert len(stored) == LOST // 20 * events
