"""Accounts whose events are made when they are asked for: histories like any other, which grow like any other."""

import itertools
import time
from random import Random
from typing import Any

import pytest

from bench.writer.long_accounts import event, events_of, long_account, with_long_accounts
from betting.account import Account
from betting.account_type import ACCOUNT
from ledger.store.stored_event import StoredEvent
from ledger.store.tables import Names, store_specs
from simulation.aws.tables.dynamodb import DynamoDB

NAMES = Names("test-bench")
A_LOT = 1_000_000


@pytest.fixture
def dynamodb() -> DynamoDB:
    memory = DynamoDB(clock=time.time, random=Random(1))
    for spec in store_specs(NAMES):
        request = spec.request()
        memory.create(spec.name, request["KeySchema"], request["AttributeDefinitions"])
    with_long_accounts(memory.table(NAMES.events))
    return memory


def query(dynamodb: DynamoDB, account_id: str, condition: str = "", *, values: Any = None, **more: Any) -> list[int]:
    answer = dynamodb.query(
        {
            "TableName": NAMES.events,
            "KeyConditionExpression": f"aggregateId = :a{condition}",
            "ExpressionAttributeValues": {":a": {"S": account_id}, **(values or {})},
            **more,
        }
    )
    return [int(item["sequenceNumber"]["N"]) for item in answer["Items"]]


@pytest.mark.parametrize("count", [1, 2, 7, 1001])
def test_its_events_are_a_history_that_an_account_folds(count: int) -> None:
    account_id = long_account(count, "x")
    account = Account(account_id)
    for number in range(1, count + 1):
        account.apply(event(account_id, number).decode(ACCOUNT))
    assert account.version == count == events_of(account_id)


def test_another_account_has_none(dynamodb: DynamoDB) -> None:
    assert [events_of(name) for name in ("alice", "long-x-1", "long-5")] == [0, 0, 0]
    assert query(dynamodb, "alice") == []


def test_it_is_read_as_any_partition(dynamodb: DynamoDB) -> None:
    account_id = long_account(A_LOT, "x")
    values = {":n": {"N": str(A_LOT - 2)}}
    assert query(dynamodb, account_id, " AND sequenceNumber > :n", values=values) == [A_LOT - 1, A_LOT]
    assert query(dynamodb, account_id, " AND sequenceNumber >= :n", values=values) == [A_LOT - 2, A_LOT - 1, A_LOT]
    assert query(dynamodb, account_id, " AND sequenceNumber <= :n", values={":n": {"N": "2"}}) == [1, 2]
    assert query(dynamodb, account_id, ScanIndexForward=False, Limit=2) == [A_LOT, A_LOT - 1]
    first = dynamodb.query(
        {
            "TableName": NAMES.events,
            "KeyConditionExpression": "aggregateId = :a",
            "ExpressionAttributeValues": {":a": {"S": account_id}},
        }
    )
    last = int(first["LastEvaluatedKey"]["sequenceNumber"]["N"])
    assert last == first["Count"] > 1000
    following = query(dynamodb, account_id, ExclusiveStartKey=first["LastEvaluatedKey"], Limit=1)
    assert following == [last + 1]


def test_it_grows_where_it_ends(dynamodb: DynamoDB) -> None:
    account_id = long_account(3, "x")
    free = "attribute_not_exists(sequenceNumber)"

    def put(number: int) -> None:
        item = {"TableName": NAMES.events, "Item": event(account_id, number).to_item(), "ConditionExpression": free}
        dynamodb.put_item(item)

    with pytest.raises(Exception, match="ConditionalCheckFailed"):
        put(3)
    put(4)
    put(5)
    assert query(dynamodb, account_id) == [1, 2, 3, 4, 5]
    assert query(dynamodb, account_id, ScanIndexForward=False, Limit=3) == [5, 4, 3]
    key = {"aggregateId": {"S": account_id}, "sequenceNumber": {"N": "2"}}
    found = dynamodb.get_item({"TableName": NAMES.events, "Key": key})["Item"]
    assert StoredEvent.from_item(found) == event(account_id, 2)


def test_each_event_is_the_same_whenever_it_is_asked_for() -> None:
    account_id = long_account(50, "x")
    assert all(event(account_id, number) == event(account_id, number) for number in range(1, 51))
    bets = [event(account_id, number).payload for number in range(2, 51)]
    assert len({payload for payload, _ in itertools.groupby(sorted(bets))}) == 49
