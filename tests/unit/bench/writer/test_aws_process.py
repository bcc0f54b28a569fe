"""The AWS in memory over HTTP: it answers as the simulation's does, and counts what it was asked for."""

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import boto3
import pytest

from bench.writer import aws_process
from bench.writer.aws_process import CountingAws, start
from bench.writer.long_accounts import event, long_account
from bench.writer.servers import NAMES, PROFILE, Counts
from simulation.aws.account import Account


@pytest.fixture
def aws() -> CountingAws:
    return CountingAws(PROFILE)


@pytest.fixture
def dynamodb(aws: CountingAws) -> Iterator[Any]:
    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(start(aws, 0, 0.0))
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    client = boto3.client(
        "dynamodb",
        region_name="us-east-1",
        aws_access_key_id="x",
        aws_secret_access_key="x",
        endpoint_url=f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}",
    )
    yield client
    client.close()
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    server.close()
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()


def put(dynamodb: Any, account_id: str, number: int, **more: Any) -> Any:
    item = event(account_id, number).to_item()
    free = "attribute_not_exists(sequenceNumber)"
    return dynamodb.put_item(TableName=NAMES.events, Item=item, ConditionExpression=free, **more)


def ask(aws: CountingAws, target: str, agent: str) -> None:
    service, _, operation = target.partition(".")
    assert aws.answer(service, operation, f"User-Agent: {agent}".encode(), b"{}")[0] == 200


def test_every_operation_that_costs_units_is_counted() -> None:
    model = boto3.session.Session()._session.get_service_model("dynamodb")
    known = {name.partition(".")[2] for name in Account().operations() if name.startswith("dynamodb.")}
    takes = {name: model.operation_model(name).input_shape for name in known & set(model.operation_names)}
    priced = {name for name, shape in takes.items() if shape and "ReturnConsumedCapacity" in shape.members}
    assert priced
    assert priced == aws_process._READS | aws_process._WRITES


def test_of_a_caller_every_call_is_counted_and_nobody_elses() -> None:
    of_one, of_all = CountingAws(PROFILE, "app/console"), CountingAws(PROFILE)
    for aws in (of_one, of_all):
        ask(aws, "dynamodb.ListTables", "kinfold app/console")
        ask(aws, "kinesis.ListStreams", "kinfold app/console")
        ask(aws, "dynamodb.ListTables", "kinfold")
    assert of_one.calls == {"ListTables": 1, "ListStreams": 1}
    assert of_all.calls == {}


def test_calls_and_units_are_counted_whether_or_not_they_are_asked_for(aws: CountingAws, dynamodb: Any) -> None:
    account_id = long_account(20, "x")
    assert "ConsumedCapacity" not in put(dynamodb, account_id, 21)
    assert put(dynamodb, account_id, 22, ReturnConsumedCapacity="TOTAL")["ConsumedCapacity"]["CapacityUnits"] == 1
    with pytest.raises(dynamodb.exceptions.ConditionalCheckFailedException):
        put(dynamodb, account_id, 22)
    found = dynamodb.query(
        TableName=NAMES.events,
        KeyConditionExpression="aggregateId = :a",
        ExpressionAttributeValues={":a": {"S": account_id}},
        ConsistentRead=True,
    )
    assert found["Count"] == 22
    dynamodb.list_tables()
    assert aws.counts() == {
        "calls": {"PutItem": 3, "Query": 1},
        "read_units": {NAMES.events: 2.0},
        "write_units": {NAMES.events: 2.0},
    }


def test_a_transaction_is_counted_by_table(aws: CountingAws, dynamodb: Any) -> None:
    item = event("alice", 1).to_item()
    key = {"commandId": {"S": "k"}}
    puts = [{"Put": {"TableName": NAMES.events, "Item": item}}, {"Put": {"TableName": NAMES.commands, "Item": key}}]
    dynamodb.transact_write_items(TransactItems=puts)
    assert aws.write_units == {NAMES.events: 2.0, NAMES.commands: 2.0}


def test_counts_are_told_apart_by_when_they_came() -> None:
    before = Counts({"PutItem": 1}, {}, {"events": 1.0})
    now = Counts({"PutItem": 3, "Query": 1}, {"events": 2.0}, {"events": 1.0})
    assert now.since(before) == Counts({"PutItem": 2, "Query": 1}, {"events": 2.0}, {})
