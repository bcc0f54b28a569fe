"""Reading change records: an INSERT of an event and nothing else."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec import structs

from ledger.store import change_record as reading
from ledger.store.change_record import decode, encode
from ledger.store.errors import ForeignRecordError, UnusableRecordError
from ledger.store.stored_event import ATTRIBUTES, StoredEvent
from tests.support.accounts import change_record
from tests.unit.ledger.store.mutations import mutated_bytes, mutated_json

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
        UnusableRecordError, match=f"aggregate acc-1, event 3: a {name} of an event: events are append-only"
    ):
        decode(change_record(EVENT, TABLE, name=name), TABLE)


def test_a_record_of_another_table_is_named() -> None:
    with pytest.raises(UnusableRecordError, match="a change record of table 'others', not of 'domain-events-local'"):
        decode(change_record(EVENT, "others"), TABLE)


def test_an_event_under_a_key_that_is_none_of_its_type_names_the_aggregate_whose_history_it_spoils() -> None:
    misplaced = structs.replace(EVENT, aggregate_id="member~acc-1")
    with pytest.raises(UnusableRecordError, match="no aggregate of its type can have") as refused:
        decode(change_record(misplaced, TABLE), TABLE)
    assert (refused.value.aggregate_id, refused.value.sequence_number) == ("member~acc-1", 3)


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
    assert "aggregate acc-1, event 3" in str(refusal.value)


def outcome(read: Callable[[bytes, str], StoredEvent], data: bytes) -> StoredEvent | tuple[Any, ...]:
    """The event, or all that the refusal says."""
    try:
        return read(data, TABLE)
    except (UnusableRecordError, ForeignRecordError) as refusal:
        return type(refusal), str(refusal), vars(refusal)


RECORD = encode(EVENT, TABLE, "us-east-1")


def test_what_the_native_destination_writes_goes_the_quick_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "_examined", None)
    assert decode(RECORD, TABLE) == EVENT


@given(mutated_json(json.loads(RECORD), names=[*ATTRIBUTES, "S", "N", "NewImage", "eventSourceARN"]))
def test_the_quick_way_says_what_the_other_one_says_of_any_record(record: Any) -> None:
    data = json.dumps(record).encode()
    assert outcome(decode, data) == outcome(reading._examined, data)


@given(mutated_bytes(RECORD))
@example(RECORD.replace(b'"SizeBytes":', b'"SizeBytes":1e999,"SizeBytes":'))
@example(RECORD.replace(b'"eventSource":', b'"other":1e999,"eventSource":'))
@example(RECORD.replace(b'"userIdentity":null', b'"userIdentity":1e999'))
@example(RECORD.replace(b"us-east-1", b"\xff"))
@example(RECORD.replace(b"us-east-1", b"\\ud800"))
@example(RECORD.replace(b"us-east-1", b"\\q"))
@example(RECORD.replace(b'"eventName":"INSERT"', b'"eventName":"MODIFY","eventName":"INSERT"'))
@example(RECORD.replace(b'"eventName":"INSERT"', b'"eventName":"INSERT","eventName":"MODIFY"'))
@example(RECORD.replace(b'{"N":"3"}', b'{"N":"1_0"}'))
@example(RECORD.replace(b'{"N":"3"}', b'{"N":" 3 "}'))
@example(RECORD.replace(b'{"N":"3"}', b'{"N":"3","S":"x"}'))
@example(RECORD.replace(b"2026-01-02T03:04:05.000006+00:00", b"2026-W01-2T03:04:05.000006+00:00"))
@example(RECORD.replace(b"2026-01-02T03:04:05.000006+00:00", b"2026-01-02T03:04:05,000006+00:00"))
@example(RECORD.replace(b"2026-01-02T03:04:05.000006+00:00", b"2026-01-02T24:00:00.000000+00:00"))
@example(RECORD.replace(b'"acc-1"', b'"acc-1\\n"'))
@example(b"\xef\xbb\xbf" + RECORD)
@example(RECORD + b" \n")
@example(RECORD + RECORD)
def test_the_quick_way_says_what_the_other_one_says_of_any_bytes(data: bytes) -> None:
    assert outcome(decode, data) == outcome(reading._examined, data)
