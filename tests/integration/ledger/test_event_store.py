from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from betting.account_type import ACCOUNT
from ledger.store.errors import AppendTooLargeError, CorruptHistoryError, VersionConflictError
from ledger.store.event_store import EventStore, History, ProvenVersion
from ledger.store.stored_event import StoredEvent, timestamp
from ledger.store.tables import Names
from tests.integration.ledger.conftest import Calls
from tests.support import accounts
from tests.support.accounts import rising_deposits

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

pytestmark = pytest.mark.integration

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def append(
    store: EventStore,
    expected: ProvenVersion | int,
    events: int = 1,
    *,
    account: str = "alice",
    correlation_id: str = "c",
    now: datetime | None = None,
) -> History:
    return accounts.append(store, account, rising_deposits(events), expected, correlation_id=correlation_id, now=now)


def numbers(store: EventStore, account: str = "alice") -> list[int]:
    return [event.sequence_number for event in store.load(account).events]


def put_past_the_store(dynamodb: "DynamoDBClient", table: str, sequence_number: int) -> None:
    event = StoredEvent("alice", sequence_number, "account", "FundsDeposited", "{}", timestamp(NOON), "past")
    dynamodb.put_item(TableName=table, Item=event.to_item())


def numbers_past_the_store(dynamodb: "DynamoDBClient", table: str) -> list[int]:
    page = dynamodb.query(
        TableName=table,
        KeyConditionExpression="aggregateId = :a",
        ExpressionAttributeValues={":a": {"S": "alice"}},
        ConsistentRead=True,
    )
    return [int(item["sequenceNumber"]["N"]) for item in page["Items"]]


def test_an_aggregate_without_events_is_at_version_0(store: EventStore) -> None:
    assert store.load("nobody") == History([], ProvenVersion("nobody", 0))
    assert store.version("nobody").number == 0


def test_what_is_appended_is_loaded_as_it_was(store: EventStore) -> None:
    one = append(store, 0, now=NOON)
    three = append(store, one.version, 3)
    loaded = store.load("alice")
    assert loaded == History(one.events + three.events, ProvenVersion("alice", 4))
    assert loaded.events[0] == StoredEvent(
        "alice",
        1,
        "account",
        "FundsDeposited",
        '{"schemaVersion":1,"amount":"1.00","currency":"EUR"}',
        "2026-03-01T12:00:00.000000+00:00",
        "c",
    )
    assert [event.decode(ACCOUNT) for event in three.events] == rising_deposits(3)


def test_a_part_of_a_history_can_be_loaded(store: EventStore) -> None:
    append(store, 0, 6)
    assert [event.sequence_number for event in store.load("alice", after=2, until=4).events] == [3, 4]
    assert [event.sequence_number for event in store.load("alice", after=4).events] == [5, 6]
    assert [event.sequence_number for event in store.load("alice", until=2).events] == [1, 2]
    assert store.load("alice", after=4, until=4).version.number == 4


class TestCost:
    def test_one_event_after_a_load_is_one_put_of_one_write_unit(self, store: EventStore, calls: Calls) -> None:
        append(store, 0)
        loaded = store.load("alice")
        calls.clear()
        append(store, loaded.version)
        assert calls.by_operation == {"PutItem": 1}
        assert calls.write_units == 1

    def test_the_first_event_needs_no_proof(self, store: EventStore, calls: Calls) -> None:
        append(store, 0)
        assert calls.by_operation == {"PutItem": 1}
        assert calls.write_units == 1

    def test_an_append_proves_the_version_for_the_next_one(self, store: EventStore, calls: Calls) -> None:
        version = append(store, 0).version
        for _ in range(3):
            version = append(store, version).version
        assert calls.by_operation == {"PutItem": 4}

    def test_several_events_are_one_transaction(self, store: EventStore, calls: Calls) -> None:
        append(store, 0, 3)
        assert calls.by_operation == {"TransactWriteItems": 1}
        # AWS and MiniStack count two units an event; DynamoDB Local, in LocalStack, has a count of its own.
        assert calls.write_units > 3

    def test_a_claimed_version_costs_a_transaction(self, store: EventStore, calls: Calls) -> None:
        append(store, 0)
        calls.clear()
        append(store, 1)
        assert calls.by_operation == {"TransactWriteItems": 1}


class TestClaims:
    def test_a_claim_that_is_right_is_honoured(self, store: EventStore) -> None:
        append(store, 0)
        append(store, 1)
        append(store, 2, 2)
        assert numbers(store) == [1, 2, 3, 4]

    @pytest.mark.parametrize("events", [1, 3])
    def test_a_claim_ahead_of_the_truth_writes_nothing(self, store: EventStore, events: int) -> None:
        append(store, 0, 2)
        with pytest.raises(VersionConflictError) as error:
            append(store, 7, events)
        assert (error.value.expected, error.value.actual, error.value.conflicting) == (7, 2, 7)
        assert numbers(store) == [1, 2]

    @pytest.mark.parametrize("events", [1, 3])
    def test_a_claim_behind_the_truth_writes_nothing(self, store: EventStore, events: int) -> None:
        append(store, 0, 3)
        with pytest.raises(VersionConflictError) as error:
            append(store, 1, events)
        assert (error.value.expected, error.value.actual, error.value.conflicting) == (1, 3, 2)
        assert numbers(store) == [1, 2, 3]

    def test_a_load_past_the_end_proves_only_what_is_stored(self, store: EventStore) -> None:
        append(store, 0, 2)
        ahead = store.load("alice", after=9)
        assert ahead == History([], ProvenVersion("alice", 2))
        append(store, ahead.version)
        assert numbers(store) == [1, 2, 3]

    def test_a_proof_of_one_aggregate_proves_nothing_about_another(self, store: EventStore) -> None:
        proof = append(store, 0).version
        with pytest.raises(ValueError, match="proves nothing about bob"):
            append(store, proof, account="bob")


class TestConflicts:
    @pytest.mark.parametrize("events", [1, 3])
    def test_a_conflict_names_the_event_and_the_actual_version(self, store: EventStore, events: int) -> None:
        stale = append(store, 0).version
        append(store, stale, 2)
        with pytest.raises(VersionConflictError) as error:
            append(store, stale, events)
        assert (error.value.aggregate_id, error.value.expected) == ("alice", 1)
        assert (error.value.actual, error.value.conflicting) == (3, 2)
        assert numbers(store) == [1, 2, 3]

    def test_a_conflict_in_the_middle_of_an_append_stores_none_of_it(
        self, store: EventStore, dynamodb: "DynamoDBClient", ledger_tables: Names
    ) -> None:
        # Only a write past the store can put an event there; it shows that what stands before it is not kept either.
        proof = append(store, 0).version
        put_past_the_store(dynamodb, ledger_tables.events, 3)
        with pytest.raises(VersionConflictError) as error:
            append(store, proof, 3)
        assert error.value.conflicting == 3
        assert numbers_past_the_store(dynamodb, ledger_tables.events) == [1, 3]

    def test_an_equal_event_of_somebody_else_is_a_conflict(self, store: EventStore) -> None:
        append(store, 0, now=NOON, correlation_id="same")
        with pytest.raises(VersionConflictError):
            append(store, 0, now=NOON, correlation_id="same")
        with pytest.raises(VersionConflictError):
            append(store, 0, 2, now=NOON, correlation_id="same")
        assert numbers(store) == [1]


class TestSize:
    def test_a_transaction_holds_a_hundred_events(self, store: EventStore) -> None:
        assert append(store, 0, 100).version.number == 100

    @pytest.mark.parametrize(("claimed", "events"), [(0, 101), (5, 100)])
    def test_more_actions_than_a_transaction_holds(
        self, store: EventStore, calls: Calls, claimed: int, events: int
    ) -> None:
        with pytest.raises(AppendTooLargeError, match=r"101 actions .* at most 100 actions"):
            append(store, claimed, events)
        assert not calls.by_operation

    def test_more_bytes_than_a_transaction_holds(self, store: EventStore, calls: Calls) -> None:
        with pytest.raises(AppendTooLargeError, match=r"43\d{5} bytes; .* 4194304 bytes"):
            append(store, 0, 11, correlation_id="c" * 395_000)
        assert not calls.by_operation

    @pytest.mark.parametrize("events", [1, 2])
    def test_a_larger_event_than_an_item_can_be(self, store: EventStore, calls: Calls, events: int) -> None:
        with pytest.raises(AppendTooLargeError, match=r"410\d{3} bytes; .* at most 409600"):
            append(store, 0, events, correlation_id="c" * 410_000)
        assert not calls.by_operation

    def test_an_event_just_under_the_limit_is_stored(self, store: EventStore) -> None:
        assert append(store, 0, correlation_id="c" * 409_300).version.number == 1


class TestLoad:
    def test_a_history_of_several_pages_is_loaded_whole(self, store: EventStore, calls: Calls) -> None:
        version = store.version("alice")
        for _ in range(3):
            version = append(store, version, 5, correlation_id="c" * 200_000).version
        calls.clear()
        assert numbers(store) == list(range(1, 16))
        assert calls.by_operation["Query"] >= 3

    def test_reading_holds_a_page_at_a_time(self, store: EventStore, calls: Calls) -> None:
        version = store.version("alice")
        for _ in range(3):
            version = append(store, version, 5, correlation_id="c" * 200_000).version
        calls.clear()
        reading = store.read("alice")
        assert next(reading).sequence_number == 1
        assert calls.by_operation == {"Query": 1}

    def test_every_read_is_consistent(self, store: EventStore, calls: Calls) -> None:
        append(store, 0, 3)
        store.load("alice")
        store.load("alice", after=1, until=2)
        store.load("alice", after=9)
        store.version("alice")
        assert calls.by_operation["Query"] >= 4
        assert calls.stale_reads == 0

    @pytest.mark.parametrize(("stored", "missing"), [((1, 3), 2), ((2, 3), 1), ((1, 2, 5), 3)])
    def test_a_history_with_a_hole_is_refused(
        self,
        store: EventStore,
        dynamodb: "DynamoDBClient",
        ledger_tables: Names,
        stored: tuple[int, ...],
        missing: int,
    ) -> None:
        for number in stored:
            put_past_the_store(dynamodb, ledger_tables.events, number)
        with pytest.raises(CorruptHistoryError, match=f"event {missing} is missing"):
            store.load("alice")

    def test_an_item_with_a_foreign_attribute_is_refused(
        self, store: EventStore, dynamodb: "DynamoDBClient", ledger_tables: Names
    ) -> None:
        append(store, 0)
        dynamodb.update_item(
            TableName=ledger_tables.events,
            Key={"aggregateId": {"S": "alice"}, "sequenceNumber": {"N": "1"}},
            UpdateExpression="SET approvedBy = :m",
            ExpressionAttributeValues={":m": {"S": "mallory"}},
        )
        with pytest.raises(CorruptHistoryError, match="approvedBy"):
            store.load("alice")
