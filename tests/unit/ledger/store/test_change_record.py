"""Reading change records: an INSERT of an event and nothing else."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.store.change_record import decode
from ledger.store.errors import UnusableRecordError
from ledger.store.stored_event import StoredEvent
from tests.support.accounts import change_record

TABLE = "domain-events-local"
EVENT = StoredEvent(
    "acc-1", 3, "account", "FundsDeposited", '{"schemaVersion":1,"amount":"5.00","currency":"EUR"}',
    "2026-01-02T03:04:05.000006+00:00", "corr-1",
)  # fmt: skip


def test_an_insert_gives_the_event_as_stored() -> None:
    assert decode(change_record(EVENT, TABLE), TABLE) == EVENT


def test_the_format_of_dynamodb_streams_is_read_too() -> None:
    record = json.loads(change_record(EVENT, TABLE))
    del record["tableName"]
    record["eventSourceARN"] = f"arn:aws:dynamodb:us-east-1:000000000000:table/{TABLE}/stream/2026-01-01T00:00:00.000"
    assert decode(json.dumps(record).encode(), TABLE) == EVENT


@pytest.mark.parametrize("name", ["MODIFY", "REMOVE"])
def test_a_change_of_an_event_is_tampering(name: str) -> None:
    with pytest.raises(
        UnusableRecordError, match=f"account acc-1, event 3: a {name} of an event: events are append-only"
    ):
        decode(change_record(EVENT, TABLE, name=name), TABLE)


def test_a_record_of_another_table_is_named() -> None:
    with pytest.raises(UnusableRecordError, match="a change record of table 'others', not of 'domain-events-local'"):
        decode(change_record(EVENT, "others"), TABLE)


def test_an_item_with_a_foreign_attribute_is_no_event() -> None:
    record = json.loads(change_record(EVENT, TABLE))
    record["dynamodb"]["NewImage"]["ttl"] = {"N": "1"}
    with pytest.raises(UnusableRecordError, match="attributes no event store wrote: ttl"):
        decode(json.dumps(record).encode(), TABLE)


@given(
    st.binary(max_size=200)
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["eventName", "tableName", "dynamodb", "NewImage", "Keys", "eventSourceARN"]),
                inner,
                max_size=6,
            )
        ),
    ).map(lambda value: json.dumps(value).encode())
)
def test_any_other_bytes_are_refused_and_never_crash(data: bytes) -> None:
    with pytest.raises(UnusableRecordError):
        decode(data, TABLE)


def test_the_refusal_never_repeats_the_payload() -> None:
    record = json.loads(change_record(EVENT, TABLE))
    del record["dynamodb"]["NewImage"]["eventType"]
    with pytest.raises(UnusableRecordError) as refusal:
        decode(json.dumps(record).encode(), TABLE)
    assert "5.00" not in str(refusal.value)
    assert "account acc-1, event 3" in str(refusal.value)
