"""Thousands of change records, some of them mutated in every way: the worker never dies and nothing goes unseen."""

import copy
import json
import os
import random
from collections import Counter
from decimal import Decimal
from typing import Any

import pytest

from betting.account import Account
from betting.account_type import ACCOUNT
from betting.events import FundsDeposited, FundsWithdrawn
from betting.projections.balance_summary import BALANCE_SUMMARY
from ledger.store.change_record import decode
from ledger.store.errors import UnusableRecordError
from ledger.store.event_store import EventStore
from ledger.store.stored_event import StoredEvent
from projector.components import Components, build_components
from projector.projection import HEAD
from projector.settings import ProjectorSettings
from tests.integration.projector.conftest import deliver
from tests.support.accounts import append, change_record

pytestmark = pytest.mark.integration

#: 20,000 by hand, fewer in every run; one in twenty is mutated.
RECORDS = int(os.environ.get("FUZZED_RECORDS", "4000"))
MUTATED = RECORDS // 20
ACCOUNTS = RECORDS // 50
EVENTS = 10
BATCH = 500

VALUES: list[Any] = [
    None, True, 0, -1, 1e308, 10**400, "", "x", "\u0000", "é" * 50, [], {}, [[]], {"S": "1"}, {"N": "1e400"},
    {"NULL": True}, "9" * 60, "-5", "1.5", "NaN",
]  # fmt: skip


def paths(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a JSON value."""
    found = [at] if at else []
    if isinstance(value, dict):
        for key, inner in value.items():
            found += paths(inner, (*at, key))
    return found


def mutate(choose: random.Random, record: bytes) -> bytes:
    """One mutation: of the bytes, of the JSON, or of a value, a name or a type in it."""
    kind = choose.randrange(9)
    if kind == 0:
        return record[: choose.randrange(len(record))]
    if kind == 1:
        at = choose.randrange(len(record))
        return record[:at] + choose.randbytes(choose.randint(1, 20)) + record[at + 1 :]
    if kind == 2:
        return choose.randbytes(choose.randrange(2000))
    if kind == 3:
        depth = choose.choice([50, 2000, 200_000])
        return b"[" * depth + b"]" * depth
    value: Any = json.loads(record)
    where = choose.choice(paths(value))
    owner = value
    for key in where[:-1]:
        owner = owner[key]
    if kind == 4:
        del owner[where[-1]]
    elif kind == 5:
        owner[where[-1]] = copy.deepcopy(choose.choice(VALUES))
    elif kind == 6:
        owner[choose.choice(["ttl", "amount", "S", "N"])] = choose.choice(VALUES)
    elif kind == 7:
        value["eventName"] = choose.choice(["MODIFY", "REMOVE", "insert", "UPSERT"])
    else:
        value["dynamodb"]["NewImage"]["payload"]["S"] = choose.choice(
            ["", "{}", "null", '{"amount":1}', "[" * 5000, '{"schemaVersion":2,"amount":"1.00","currency":"EUR"}']
        )
    return json.dumps(value).encode()


def account_of(data: bytes, table: str) -> str | None:
    """The account that a mutated record still speaks of."""
    try:
        return decode(data, table).aggregate_id
    except UnusableRecordError as error:
        return error.aggregate_id


def histories(store: EventStore) -> list[list[StoredEvent]]:
    made = []
    for number in range(ACCOUNTS):
        events: list[Any] = [FundsDeposited(amount=Decimal(100), currency="EUR")]
        events += [FundsWithdrawn(amount=Decimal(index), currency="EUR") for index in range(1, EVENTS // 2)]
        events += [FundsDeposited(amount=Decimal(1), currency="EUR")] * (EVENTS - len(events))
        made.append(append(store, f"fuzz-{number}", events, 0).events)
    return made


def test_every_record_is_applied_a_duplicate_or_a_dead_letter(
    components: Components, projector_settings: ProjectorSettings, executor: Any
) -> None:
    choose = random.Random(20_261_123)
    components = build_components(
        projector_settings.model_copy(update={"storm_limit": 10**6}), components.clients, executor
    )
    handler = components.batch_handler()
    accounts = histories(components.store)
    every = [change_record(event, components.names.events) for events in accounts for event in events]
    mutated = [mutate(choose, choose.choice(every[: len(every) // 2])) for _ in range(MUTATED)]
    records = every + choose.choices(every, k=RECORDS - len(every) - MUTATED) + mutated
    choose.shuffle(records)

    for start in range(0, RECORDS, BATCH):
        deliver(handler, components, *records[start : start + BATCH])

    rows = components.models.active(BALANCE_SUMMARY).get_many((events[0].aggregate_id, HEAD) for events in accounts)
    touched = {account_id for data in mutated if (account_id := account_of(data, components.names.events))}
    for events in accounts:
        account_id = events[0].aggregate_id
        row = rows[account_id, HEAD]
        if account_id not in touched:
            folded = Account.reconstitute(account_id, (event.decode(ACCOUNT) for event in events))
            assert row.state is not None
            assert (row.halted, row.version, row.state.balance) == (None, folded.version, folded.balance)
        elif row.halted is not None:
            assert components.letters.get(row.halted.dead_letter) is not None
        else:
            assert row.version == len(events)
    assert len(touched) < ACCOUNTS * 2 / 3, "too few accounts were left untouched to tell anything"
    letters = list(components.letters.list())
    kinds = Counter(letter.letter.projection for letter in letters)
    assert kinds[None] > MUTATED / 4, "the mutations were too tame"

    # What was mutated never stuck: a redrive from the event store brings every account to its fold.
    for letter in letters:
        if letter.letter.aggregate_id is not None:
            components.redrive.redrive(letter.id, components.projectors.fed, by="fuzz")
    rows = components.models.active(BALANCE_SUMMARY).get_many((events[0].aggregate_id, HEAD) for events in accounts)
    assert all(row.halted is None and row.version == EVENTS for row in rows.values())
