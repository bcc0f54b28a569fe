import json
from decimal import Decimal
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from betting.events import (
    EVENTS,
    BetPlaced,
    BetSettled,
    BettingEvent,
    FundsDeposited,
    FundsWithdrawn,
)
from betting.money import CurrencyCode
from ledger.aggregates.events import Event, UnreadablePayloadError

SECRET = "s3cr3t-4111-1111"

amounts = st.integers(0, 10**14 - 1).map(lambda cents: Decimal(cents).scaleb(-2))
currencies: st.SearchStrategy[CurrencyCode] = st.sampled_from(get_args(CurrencyCode))
bet_ids = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}", fullmatch=True)
money = st.tuples(amounts, currencies)
events: st.SearchStrategy[BettingEvent] = st.one_of(
    money.map(lambda of: FundsDeposited(amount=of[0], currency=of[1])),
    money.map(lambda of: FundsWithdrawn(amount=of[0], currency=of[1])),
    st.tuples(bet_ids, money).map(lambda of: BetPlaced(bet_id=of[0], stake=of[1][0], currency=of[1][1])),
    st.tuples(bet_ids, money).map(lambda of: BetSettled(bet_id=of[0], payout=of[1][0], currency=of[1][1])),
)


@given(events)
def test_an_event_survives_its_payload(event: BettingEvent) -> None:
    payload = event.payload()
    assert EVENTS.decode(event.event_type, payload, 1) == event
    assert EVENTS.decode(event.event_type, payload.encode(), 1) == event


@given(events)
def test_a_payload_holds_money_as_text_and_its_schema_version(event: BettingEvent) -> None:
    fields = json.loads(event.payload())
    assert fields["schemaVersion"] == event.schema_version
    assert not any(isinstance(value, float) for value in fields.values())


def test_every_event_class_is_in_the_union_under_a_name_written_out() -> None:
    classes = {each for each in Event.__subclasses__() if each.__module__ == BetPlaced.__module__}
    assert classes == set(get_args(BettingEvent)) == set(EVENTS.models)
    for model in EVENTS.models:
        assert "event_type" in vars(model), f"{model.__name__} inherits its name instead of stating it"
    assert {each.event_type for each in classes} == {"FundsDeposited", "FundsWithdrawn", "BetPlaced", "BetSettled"}


def test_an_event_is_frozen() -> None:
    event = FundsDeposited(amount=Decimal(1), currency="EUR")
    with pytest.raises(ValidationError):
        event.amount = Decimal(2)  # type: ignore[misc]


UNREADABLE = {
    "not JSON": f"{SECRET}",
    "cut off": '{"amount":"' + SECRET,
    "no object": f'["{SECRET}"]',
    "amount no text": '{"schemaVersion":1,"amount":41111111,"currency":"EUR"}',
    "amount malformed": f'{{"schemaVersion":1,"amount":"{SECRET}","currency":"EUR"}}',
    "currency unknown": f'{{"schemaVersion":1,"amount":"1","currency":"{SECRET}"}}',
    "field missing": f'{{"schemaVersion":1,"amount":"{SECRET}"}}',
    "field too many": f'{{"schemaVersion":1,"amount":"1","currency":"EUR","note":"{SECRET}"}}',
    "field named by a secret": f'{{"schemaVersion":1,"amount":"1","currency":"EUR","{SECRET}":1}}',
    "newer schema": '{"schemaVersion":2,"amount":"1","currency":"EUR"}',
    "newer schema of another shape": f'{{"schemaVersion":2,"total":"{SECRET}"}}',
    "schema 0": '{"schemaVersion":0,"amount":"1","currency":"EUR"}',
    "nested without end": "[" * 100_000,
    "schema no number": f'{{"schemaVersion":"{SECRET}","amount":"1","currency":"EUR"}}',
    "empty": "",
}


@pytest.mark.parametrize("payload", UNREADABLE.values(), ids=UNREADABLE.keys())
def test_an_unreadable_payload_is_named_and_not_repeated(payload: str) -> None:
    with pytest.raises(UnreadablePayloadError) as error:
        EVENTS.decode("FundsDeposited", payload, 1)
    assert "FundsDeposited" in str(error.value)
    assert SECRET not in str(error.value)
    assert "41111111" not in str(error.value)
    assert error.value.__cause__ is None
    assert len(str(error.value)) < 1000


def test_a_thousand_foreign_fields_make_a_short_message() -> None:
    payload = json.dumps({"schemaVersion": 1, "amount": "1", "currency": "EUR"} | {f"f{n}": n for n in range(1000)})
    with pytest.raises(UnreadablePayloadError) as error:
        EVENTS.decode("FundsDeposited", payload, 1)
    assert len(str(error.value)) < 1000


def test_a_newer_schema_is_refused_by_its_field() -> None:
    with pytest.raises(UnreadablePayloadError, match="schemaVersion"):
        EVENTS.decode("FundsDeposited", '{"schemaVersion":2,"amount":"1","currency":"EUR"}', 1)


def test_an_unknown_type_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UnreadablePayloadError, match=r"'FundsStolen'.*FundsDeposited"):
        EVENTS.decode("FundsStolen", "{}", 1)
