"""What an append makes of DynamoDB's refusals, fed one by one to a client that has no endpoint."""

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from ledger.errors import EndpointError, KinfoldError, ResourceError, ThrottledError
from ledger.store.errors import RejectedEventError, VersionConflictError
from ledger.store.event_store import EventStore, History
from tests.support.accounts import append, deposits

STORED_VERSION = 9


def refusal(code: str, *reasons: str, status: int = 400) -> ClientError:
    response: Any = {"Error": {"Code": code, "Message": "m"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    if reasons:
        response["CancellationReasons"] = [{"Code": reason, "Message": "why"} for reason in reasons]
    return ClientError(response, "TransactWriteItems")


class ScriptedClient:
    """Raises what the script says, call after call, then succeeds; every aggregate is at version 9."""

    def __init__(self, *script: Exception) -> None:
        self._script: Iterator[Exception] = iter(script)
        self.writes = 0

    def put_item(self, **_: Any) -> Any:
        self.writes += 1
        for failure in self._script:
            raise failure
        return {}

    transact_write_items = put_item

    def query(self, **_: Any) -> Any:
        return {"Items": [{"sequenceNumber": {"N": str(STORED_VERSION)}}]}


def append_two(client: Any, *, retry_seconds: float = 5) -> History:
    return append(EventStore(client, "events", retry_seconds=retry_seconds), "alice", deposits(2), 4)


CONFLICT = "ConditionalCheckFailed"


@pytest.mark.parametrize(
    ("reasons", "conflicting"),
    [
        ((CONFLICT, "None", "None"), 4),  # the claimed version itself is not there
        (("None", CONFLICT, "None"), 5),
        (("None", "None", CONFLICT), 6),
        (("None", CONFLICT, CONFLICT), 5),
        (("TransactionConflict", "None", CONFLICT), 6),
    ],
)
def test_a_conflict_names_the_event_whose_condition_failed(reasons: tuple[str, ...], conflicting: int) -> None:
    with pytest.raises(VersionConflictError) as error:
        append_two(ScriptedClient(refusal("TransactionCanceledException", *reasons)))
    assert (error.value.conflicting, error.value.expected, error.value.actual) == (conflicting, 4, STORED_VERSION)
    assert f"event {conflicting} " in str(error.value)


def test_a_claim_that_may_come_true_before_an_earlier_request_arrives_is_no_conflict() -> None:
    """Nothing was written so far; but the request without an answer may be under way, and an event 4 come first."""
    client = ScriptedClient(PASSING["network"], refusal("TransactionCanceledException", CONFLICT, "None", "None"))
    with pytest.raises(EndpointError, match="version 4 is claimed and not stored"):
        append_two(client)


def test_a_malformed_event_is_the_callers_error_and_named() -> None:
    with pytest.raises(RejectedEventError, match=r"event 6 .*why"):
        append_two(ScriptedClient(refusal("TransactionCanceledException", "None", "None", "ValidationError")))


PASSING = {
    "conflict": refusal("TransactionCanceledException", "None", "TransactionConflict", "None"),
    "throttled item": refusal("TransactionCanceledException", "None", "None", "ThrottlingError"),
    "no capacity": refusal(
        "TransactionCanceledException", "ProvisionedThroughputExceeded", "TransactionConflict", "None"
    ),
    "throttled": refusal("ThrottlingException"),
    "in progress": refusal("TransactionInProgressException"),
    "5xx": refusal("InternalServerError", status=500),
    "network": EndpointConnectionError(endpoint_url="http://x"),
}


@pytest.mark.parametrize("failure", PASSING.values(), ids=PASSING.keys())
def test_a_passing_failure_is_tried_again(failure: Exception) -> None:
    client = ScriptedClient(failure, failure)
    assert append_two(client).version.number == 6
    assert client.writes == 3


@pytest.mark.parametrize("failure", PASSING.values(), ids=PASSING.keys())
def test_when_the_retries_end_the_failure_is_transient(failure: Exception) -> None:
    expected = EndpointError if failure in (PASSING["5xx"], PASSING["network"]) else ThrottledError
    client = ScriptedClient(*[failure] * 1000)
    with pytest.raises(expected):
        append_two(client, retry_seconds=1)
    assert 1 < client.writes < 1000


@pytest.mark.parametrize(
    ("failure", "kind"),
    [
        (refusal("TransactionCanceledException", "None", "SomethingNew", "None"), ResourceError),
        (refusal("TransactionCanceledException"), ResourceError),
        (refusal("ResourceNotFoundException"), ResourceError),
        (refusal("AccessDeniedException"), ResourceError),
    ],
)
def test_another_refusal_is_not_tried_again(failure: Exception, kind: type[KinfoldError]) -> None:
    client = ScriptedClient(failure)
    with pytest.raises(kind):
        append_two(client)
    assert client.writes == 1


def test_a_single_put_reads_its_own_refusals() -> None:
    def put(failure: Exception) -> None:
        store: EventStore = EventStore(ScriptedClient(failure), "events")  # type: ignore[arg-type]
        append(store, "alice", deposits(), 0)

    with pytest.raises(VersionConflictError, match="actual version 9; event 1 conflicted"):
        put(refusal("ConditionalCheckFailedException"))
    with pytest.raises(RejectedEventError, match="event 1"):
        put(refusal("ValidationException"))


def test_an_append_of_nothing_or_at_a_negative_version_is_a_programmers_error() -> None:
    store = EventStore(ScriptedClient(), "events")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="needs events"):
        append(store, "alice", [], 4)
    with pytest.raises(ValueError, match="-1"):
        append(store, "alice", deposits(), -1)
