import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from betting.account_type import ACCOUNT
from betting.events import FundsDeposited
from ledger.store.errors import CorruptHistoryError, UndecodableEventError
from ledger.store.stored_event import ATTRIBUTES, StoredEvent, item_size, timestamp
from tests.unit.ledger.store.mutations import mutated_json

DEPOSIT = FundsDeposited(amount=Decimal("12.50"), currency="EUR")
EVENT = StoredEvent(
    "alice", 7, "account", "FundsDeposited", DEPOSIT.payload(), "2026-03-01T12:00:00.000000+00:00", "c-1"
)


def test_an_item_has_exactly_seven_attributes_of_their_types() -> None:
    item = EVENT.to_item()
    assert {name: next(iter(value)) for name, value in item.items()} == dict(ATTRIBUTES)
    assert list(item) == [
        "aggregateId",
        "sequenceNumber",
        "aggregateType",
        "eventType",
        "payload",
        "occurredAt",
        "correlationId",
    ]


def test_an_event_survives_its_item() -> None:
    assert StoredEvent.from_item(EVENT.to_item()) == EVENT
    assert EVENT.decode(ACCOUNT) == DEPOSIT


def test_a_foreign_attribute_is_refused_by_name() -> None:
    with pytest.raises(CorruptHistoryError, match=r"alice: event 7 .* approvedBy"):
        StoredEvent.from_item(EVENT.to_item() | {"approvedBy": {"S": "mallory"}})


@pytest.mark.parametrize("name", ATTRIBUTES)
def test_a_missing_attribute_is_refused(name: str) -> None:
    item = EVENT.to_item()
    del item[name]
    with pytest.raises(CorruptHistoryError, match=name):
        StoredEvent.from_item(item)


@pytest.mark.parametrize("name", ATTRIBUTES)
@pytest.mark.parametrize("value", [{"B": b"x"}, {"NULL": True}, {}, None, "text"], ids=str)
def test_an_attribute_of_another_type_is_refused(name: str, value: Any) -> None:
    with pytest.raises(CorruptHistoryError):
        StoredEvent.from_item(EVENT.to_item() | {name: value})


def test_a_sequence_number_that_is_no_number_is_refused() -> None:
    with pytest.raises(CorruptHistoryError):
        StoredEvent.from_item(EVENT.to_item() | {"sequenceNumber": {"N": "1.5"}})


def test_an_undecodable_event_is_named_and_its_payload_is_not_shown() -> None:
    with pytest.raises(UndecodableEventError, match="alice: event 7") as error:
        structs.replace(EVENT, payload='{"amount":"s3cr3t"}').decode(ACCOUNT)
    assert "s3cr3t" not in str(error.value)
    assert (error.value.aggregate_id, error.value.sequence_number) == ("alice", 7)


@given(st.text(max_size=200))
def test_the_size_counts_bytes_and_never_too_few(text: str) -> None:
    item = structs.replace(EVENT, payload=text).to_item()
    names_and_strings = sum(len(name) + len(value.get("S", "").encode()) for name, value in item.items())
    assert item_size(structs.replace(EVENT, payload=text).to_item()) >= names_and_strings + 1


def test_a_timestamp_is_utc_and_sorts_as_text() -> None:
    noon = datetime(2026, 3, 1, 13, tzinfo=timezone(timedelta(hours=1)))
    assert timestamp(noon) == "2026-03-01T12:00:00.000000+00:00"
    later = [datetime(2026, 3, 1, 12, 0, 0, micro, tzinfo=UTC) for micro in (0, 1, 10, 999_999)]
    assert sorted(map(timestamp, later)) == [timestamp(moment) for moment in later]


@pytest.mark.parametrize("number", ["0", "-1", str(10**16)])
def test_a_sequence_number_that_no_event_has_is_refused(number: str) -> None:
    with pytest.raises(CorruptHistoryError, match="sequenceNumber"):
        StoredEvent.from_item(EVENT.to_item() | {"sequenceNumber": {"N": number}})


@pytest.mark.parametrize(
    "moment",
    [
        "",
        "yesterday",
        "2026",
        "2026-03-01",
        "20260301T120000.000000+0000",
        "2026-13-01T12:00:00.000000+00:00",
        "2026-03-01T12:00:00+00:00",
        "2026-03-01T12:00:00.000000Z",
        "2026-03-01 12:00:00.000000+00:00",
        "2026-03-01T12:00:00.000000+02:00",
    ],
)
def test_a_time_that_is_none_is_refused(moment: str) -> None:
    with pytest.raises(CorruptHistoryError, match="occurredAt"):
        StoredEvent.from_item(EVENT.to_item() | {"occurredAt": {"S": moment}})


@given(
    st.datetimes(timezones=st.just(UTC)), st.integers(0, 31), st.characters() | st.sampled_from("0123456789-T:.+ ,W")
)
def test_a_time_has_one_form(moment: datetime, place: int, character: str) -> None:
    text = timestamp(moment)
    text = text[:place] + character + text[place + 1 :]
    item = EVENT.to_item() | {"occurredAt": {"S": text}}
    form = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}\+00:00"
    if re.fullmatch(form, text) and is_moment(text):
        assert StoredEvent.from_item(item).occurred_at == text
    else:
        with pytest.raises(CorruptHistoryError, match="occurredAt"):
            StoredEvent.from_item(item)


def is_moment(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def outcome(read: Callable[[Any], StoredEvent], item: Any) -> StoredEvent | str:
    try:
        return read(item)
    except CorruptHistoryError as refusal:
        return str(refusal)


@given(mutated_json(EVENT.to_item(), names=["B", "BOOL", "approvedBy", "2026-W01-2T03:04:05.000006+00:00"]))
def test_the_quick_way_says_what_the_other_one_says_of_any_item(item: Any) -> None:
    assert outcome(StoredEvent.from_item, item) == outcome(StoredEvent._examined, item)


@pytest.mark.parametrize(
    "text", ["1_0", " 7 ", "+7", "\u0667", "1" * 5000, "2026-01-02T24:00:00.000000+00:00", "\ud800"]
)
@pytest.mark.parametrize("name", ATTRIBUTES)
def test_so_it_does_of_texts_that_are_nearly_right(name: str, text: str) -> None:
    item = EVENT.to_item() | {name: {ATTRIBUTES[name]: text}}
    assert outcome(StoredEvent.from_item, item) == outcome(StoredEvent._examined, item)
