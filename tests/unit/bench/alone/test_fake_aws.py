"""AWS from memory tells the truth about conditions: what does not hold is refused, what is not understood too."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from aws_client.tables import TableSpec
from bench.alone.fake_aws import MemoryAws, Pages, write_pages
from bench.alone.fake_events_table import MemoryEvents
from bench.alone.store_costs import deposit
from bench.metering.meter import Meter
from betting.projections.balance_summary import BALANCE_SUMMARY, BalanceSummary
from kinfold.local.environment import service_clients
from ledger.runtime.aws import Clients
from ledger.store.event_store import EventStore
from ledger.store.tables import Names
from projector.engine.read_model import ReadModel, RowChange
from projector.projection import HEAD, Row
from simulation.aws.errors import NotModelledError
from simulation.aws.tables.expressions.partiql import parse

NOWHERE = "http://127.0.0.1:9"  # nothing listens: what is not answered from memory fails
TABLE = "balance-summary-test-1"


@pytest.fixture
def memory(tmp_path: Path) -> MemoryAws:
    write_pages(tmp_path, ["shard-0"], iter([("a", b"first"), ("b", b"second"), ("c", b"third")]), 2)
    return MemoryAws(Pages(tmp_path), [TableSpec(TABLE, (("aggregateId", "S"),))])


@pytest.fixture
def clients(memory: MemoryAws) -> Clients:
    clients = service_clients(NOWHERE, "test-memory")
    memory.answer_for(clients.kinesis, clients.dynamodb)
    return clients


@pytest.fixture
def model(clients: Clients) -> Iterator[ReadModel[BalanceSummary]]:
    with ThreadPoolExecutor(1) as executor:
        yield ReadModel(clients.dynamodb, BALANCE_SUMMARY, TABLE, executor)


def row(version: int, balance: int) -> Row[BalanceSummary]:
    amount, zero = Decimal(balance), Decimal(0)
    summary = BalanceSummary("EUR", amount, amount, zero, zero, zero, "2026-01-31")
    return Row("alice", HEAD, version, summary, event_hash=str(version))


def test_a_false_condition_is_refused_and_changes_nothing(model: ReadModel[BalanceSummary]) -> None:
    key = ("alice", HEAD)
    assert model.write([RowChange(row(1, 5), None)]) == set()
    assert model.write([RowChange(row(1, 7), None)]) == {key}, "the row is there"
    assert model.write([RowChange(row(3, 9), 2)]) == {key}, "it is at version 1"
    assert model.get("alice") == row(1, 5)
    assert model.write([RowChange(row(2, 9), 1)]) == set()
    assert model.get("alice") == row(2, 9)
    assert model.write([RowChange(replace(row(3, 1), revision=4), 2)]) == {key}, "no repair has rewritten it"
    assert model.get("bob") is None


def test_a_halted_row_is_not_written(model: ReadModel[BalanceSummary], memory: MemoryAws) -> None:
    model.write([RowChange(row(1, 5), None)])
    table = memory.dynamodb.table(TABLE)
    (item,) = table.items()
    table.put(table.key_of(item), item | {"halted": {"M": {}}})
    assert model.write([RowChange(row(2, 9), 1)]) == {("alice", HEAD)}


@pytest.mark.parametrize(
    "text",
    [
        f'DELETE FROM "{TABLE}" WHERE "aggregateId"=?',
        f'UPDATE "{TABLE}" SET "version"=? WHERE "aggregateId"=? OR "version"=?',
        f'UPDATE "{TABLE}" SET "version"=? WHERE "aggregateId"=? AND "version">?',
        f'UPDATE "{TABLE}" SET "version"=? REMOVE "halted" WHERE "aggregateId"=?',
        f"INSERT INTO \"{TABLE}\" VALUE {{'aggregateId': 'alice'}}",
    ],
)
def test_a_statement_that_is_not_understood_is_refused(text: str) -> None:
    with pytest.raises(NotModelledError):
        parse(text)


def test_pages_come_in_order_and_end(clients: Clients) -> None:
    iterator = clients.kinesis.get_shard_iterator(StreamName="s", ShardId="shard-0", ShardIteratorType="TRIM_HORIZON")[
        "ShardIterator"
    ]
    found: list[list[bytes]] = []
    for _ in range(4):
        answer = clients.kinesis.get_records(ShardIterator=iterator, Limit=2)
        found.append([record["Data"] for record in answer["Records"]])
        iterator = answer["NextShardIterator"]
    assert found == [[b"first", b"second"], [b"third"], [], []]


def test_a_history_from_memory_is_the_history_in_pages_of_a_megabyte() -> None:
    names = Names("test-memory")
    clients = service_clients(NOWHERE, names.profile)
    events = [deposit("alice", number) for number in range(1, 5_001)]
    MemoryEvents(names, (event.to_item() for event in events)).answer_for(clients.dynamodb)
    calls: list[Any] = []
    clients.dynamodb.meta.events.register("before-call.dynamodb.Query", lambda **_: calls.append(1))
    store = EventStore(clients.dynamodb, names.events)
    assert store.load("alice").events == events
    assert len(calls) == 2
    assert store.load("alice", after=4_990).events == events[4_990:]
    meter = Meter()
    meter.watch(clients.dynamodb)
    assert store.newest("alice", limit=1) == events[-1:]
    assert store.newest("alice", until=4_000, limit=20) == events[3_980:4_000][::-1]
    assert meter.read_units[names.events] <= 4, "what is asked for is read, and no page of a megabyte"
