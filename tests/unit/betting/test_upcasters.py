"""Payloads of older schemas, wherever events are read: the account, the projections, verification."""

import json
from decimal import Decimal

import pytest

from betting.account import Account
from betting.account_type import ACCOUNT
from betting.events import EVENTS, BetPlaced
from betting.projections import PROJECTIONS
from betting.upcasters import UPCASTERS
from ledger.store.errors import UndecodableEventError
from ledger.store.stored_event import StoredEvent
from tests.unit.ledger.store.test_stored_event import EVENT

#: As it was stored before a bet had a name of its own.
BET_PLACED_1 = '{"schemaVersion":1,"stake":"4.00","currency":"EUR"}'


def stored(number: int, event_type: str, payload: str) -> StoredEvent:
    return StoredEvent("alice", number, "account", event_type, payload, EVENT.occurred_at, "c")


HISTORY = [
    stored(1, "FundsDeposited", '{"schemaVersion":1,"amount":"10.00","currency":"EUR"}'),
    stored(2, "BetPlaced", BET_PLACED_1),
    stored(3, "BetSettled", '{"schemaVersion":1,"betId":"v1:2","payout":"7.50","currency":"EUR"}'),
    stored(4, "BetPlaced", BET_PLACED_1),
    stored(5, "BetPlaced", '{"schemaVersion":2,"betId":"derby","stake":"1.00","currency":"EUR"}'),
]


def test_a_bet_without_a_name_is_named_by_its_number_every_time_anew() -> None:
    event = HISTORY[1].decode(ACCOUNT)
    assert event == BetPlaced(bet_id="v1:2", stake=Decimal(4), currency="EUR") == HISTORY[1].decode(ACCOUNT)
    assert event.schema_version == 2


def test_an_account_folds_a_history_of_both_schemas() -> None:
    account = Account.reconstitute("alice", (event.decode(ACCOUNT) for event in HISTORY))
    assert (account.version, account.balance) == (5, Decimal("8.50"))
    assert account.open_bets == {"v1:4": Decimal(4), "derby": Decimal(1)}
    assert account.settled_bets.recent.keys() == {"v1:2"}


def test_every_projection_folds_a_history_of_both_schemas() -> None:
    current = [
        stored(event.sequence_number, event.event_type, event.decode(ACCOUNT).model_dump_json(by_alias=True))
        for event in HISTORY
    ]
    assert [event.payload for event in current] != [event.payload for event in HISTORY]
    for projection in PROJECTIONS:
        states = [None, None]
        for pair in zip(HISTORY, current, strict=True):
            states = [projection.after(state, event) for state, event in zip(states, pair, strict=True)]
        assert states[0] == states[1] is not None


def test_what_is_stored_is_not_changed() -> None:
    HISTORY[1].decode(ACCOUNT)
    assert HISTORY[1].payload == BET_PLACED_1


@pytest.mark.parametrize("version", [3, 1000])
def test_a_payload_from_the_future_is_refused_and_says_to_deploy(version: int) -> None:
    newer = stored(7, "BetPlaced", json.dumps({"schemaVersion": version, "slip": "s3cr3t"}))
    with pytest.raises(UndecodableEventError, match=r"alice: event 7 .* newer than 2, .*: deploy") as error:
        newer.decode(ACCOUNT)
    assert "s3cr3t" not in str(error.value)


def test_a_payload_that_is_broken_even_after_its_steps_is_refused() -> None:
    with pytest.raises(UndecodableEventError, match="stake"):
        stored(7, "BetPlaced", '{"schemaVersion":1,"stake":"-4","currency":"EUR"}').decode(ACCOUNT)


def test_there_is_a_step_for_every_version_before_the_current_one_and_no_other() -> None:
    needed = {
        (model.event_type, version)
        for model in EVENTS.models
        for version in range(1, model.model_fields["schema_version"].default)
    }
    assert set(UPCASTERS) == needed
