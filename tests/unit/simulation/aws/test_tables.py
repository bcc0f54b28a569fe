"""Tables: stale reads, pages, transactions, batches."""

from random import Random
from typing import Any

import pytest

from simulation.aws.errors import NotModelledError
from simulation.aws.tables.dynamodb import DynamoDB
from tests.unit.simulation.aws.conftest import PARTS, ROWS, Memory


def version(item: dict[str, Any] | None) -> int | None:
    return None if item is None else int(item["version"]["N"])


def row(number: int, key: str = "a") -> dict[str, Any]:
    return {"id": {"S": key}, "version": {"N": str(number)}}


def test_a_stale_read_sees_an_item_as_it_was_and_never_too_old(memory: Memory) -> None:
    written: dict[int | None, float] = {None: memory.now}
    seen: set[int | None] = set()
    for number in range(400):
        memory.now += 0.5
        memory.put(row(number))
        written[number] = memory.now
        read = version(memory.get("a"))
        seen.add(number - read if read is not None else None)
        successor = 0 if read is None else read + 1
        replaced = written.get(successor, memory.now)
        assert memory.now - replaced <= memory.staleness, f"{read} was replaced too long ago"
        assert version(memory.get("a", ConsistentRead=True)) == number
    assert len(seen) > 10, "reads were of many ages"


def test_a_stale_read_sees_what_was_deleted_and_not_yet_what_is_new(memory: Memory) -> None:
    memory.put(row(1))
    memory.now += 20
    assert all(version(memory.get("a")) == 1 for _ in range(20))
    memory.call("DeleteItem", TableName=ROWS, Key={"id": {"S": "a"}})
    memory.now += 5
    assert {version(memory.get("a")) for _ in range(50)} == {1, None}
    memory.now += 10
    assert memory.get("a") is None
    assert memory.call("Scan", TableName=ROWS)["Items"] == []
    assert memory.account.dynamodb.table(ROWS).count == 0


def test_a_query_gives_pages_until_the_end_in_both_directions(memory: Memory) -> None:
    for number in (10, 9, 2, 100, -1):
        memory.put({"id": {"S": "a"}, "part": {"N": str(number)}}, PARTS)
    memory.put({"id": {"S": "b"}, "part": {"N": "1"}}, PARTS)
    asked: dict[str, Any] = {
        "TableName": PARTS,
        "KeyConditionExpression": "id = :a AND part >= :n",
        "ExpressionAttributeValues": {":a": {"S": "a"}, ":n": {"N": "2"}},
        "ConsistentRead": True,
        "Limit": 2,
    }
    for forward in (True, False):
        found: list[int] = []
        pages, start = 0, dict[str, Any]()
        while True:
            page = memory.call("Query", **asked, ScanIndexForward=forward, **start)
            found += [int(item["part"]["N"]) for item in page["Items"]]
            pages += 1
            if "LastEvaluatedKey" not in page:
                break
            start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}
        assert found == sorted((2, 9, 10, 100), reverse=not forward)
        assert pages == 3, "a page that ends where the data ends says that there is more"


def test_the_segments_of_a_scan_are_the_table(memory: Memory) -> None:
    for number in range(50):
        memory.put({"id": {"S": f"{number % 20}"}, "part": {"N": str(number)}}, PARTS)
    found: list[str] = []
    for segment in range(3):
        start: dict[str, Any] | None = {}
        while start is not None:
            asked: dict[str, Any] = {"Segment": segment, "TotalSegments": 3, "Limit": 4, "ConsistentRead": True}
            page = memory.call("Scan", TableName=PARTS, **asked, **start)
            found += [item["part"]["N"] for item in page["Items"]]
            start = {"ExclusiveStartKey": page["LastEvaluatedKey"]} if "LastEvaluatedKey" in page else None
            memory.put({"id": {"S": f"new-{len(found)}"}, "part": {"N": "-1"}}, PARTS)
    assert sorted(int(each) for each in found if each != "-1") == list(range(50))


def test_a_page_is_full_at_its_bytes() -> None:
    db = DynamoDB(clock=lambda: 0.0, random=Random(1), page_bytes=100)
    db.create("t", [{"AttributeName": "id", "KeyType": "HASH"}], [{"AttributeName": "id", "AttributeType": "S"}])
    for number in range(5):
        db.put_item({"TableName": "t", "Item": {"id": {"S": str(number)}, "text": {"S": "x" * 53}}})
    page = db.scan({"TableName": "t", "ReturnConsumedCapacity": "TOTAL", "ConsistentRead": True})
    assert (page["Count"], page["ConsumedCapacity"]["CapacityUnits"]) == (2, 1.0)


def put(key: str, **more: Any) -> dict[str, Any]:
    return {"Put": {"TableName": ROWS, "Item": row(1, key), **more}}


def test_a_transaction_is_all_or_nothing_and_says_why(memory: Memory) -> None:
    memory.put(row(1, "taken"))
    unique = {"ConditionExpression": "attribute_not_exists(id)"}
    shown = {"ReturnValuesOnConditionCheckFailure": "ALL_OLD"}
    unfit = {
        "Update": {
            "TableName": ROWS,
            "Key": {"id": {"S": "taken2"}},
            "UpdateExpression": "SET version = absent",
        }
    }
    actions = [put("new", **unique), put("taken", **unique, **shown), unfit]
    error = memory.refused("TransactWriteItems", TransactItems=actions)
    assert error.code == "TransactionCanceledException"
    reasons = error.members["CancellationReasons"]
    assert [reason["Code"] for reason in reasons] == ["None", "ConditionalCheckFailed", "ValidationError"]
    assert reasons[1]["Item"] == row(1, "taken")
    assert memory.get("new", ConsistentRead=True) is None


def test_a_token_counts_once_for_ten_minutes(memory: Memory) -> None:
    one = {":one": {"N": "1"}}
    action = {
        "Update": {
            "TableName": ROWS,
            "Key": {"id": {"S": "a"}},
            "UpdateExpression": "ADD version :one",
            "ExpressionAttributeValues": one,
        }
    }
    for _ in range(2):
        memory.call("TransactWriteItems", TransactItems=[action], ClientRequestToken="t")
    assert version(memory.get("a", ConsistentRead=True)) == 1
    other = memory.refused("TransactWriteItems", TransactItems=[action, put("b")], ClientRequestToken="t")
    assert other.code == "IdempotentParameterMismatchException"
    memory.now += 601
    memory.call("TransactWriteItems", TransactItems=[action], ClientRequestToken="t")
    assert version(memory.get("a", ConsistentRead=True)) == 2


def test_no_item_twice_and_no_more_than_a_hundred_in_a_transaction(memory: Memory) -> None:
    for actions in ([put("a"), put("a")], [put(str(number)) for number in range(101)], []):
        assert memory.refused("TransactWriteItems", TransactItems=actions).code == "ValidationException"


def test_the_statements_of_a_batch_fail_one_by_one(memory: Memory) -> None:
    insert = {"Statement": f"INSERT INTO \"{ROWS}\" VALUE {{'id': ?}}", "Parameters": [{"S": "a"}]}
    other = {"Statement": "INSERT INTO \"nowhere\" VALUE {'id': ?}", "Parameters": [{"S": "a"}]}
    update = {"Statement": f'UPDATE "{ROWS}" SET "x"=? WHERE "id"=? AND "y" IS MISSING', "Parameters": [{"N": "1"}]}
    missing = {**update, "Parameters": [{"N": "1"}, {"S": "missing"}]}
    found = {**update, "Parameters": [{"N": "1"}, {"S": "a"}]}
    answer = memory.call("BatchExecuteStatement", Statements=[insert, insert, other, missing, found, update])
    codes = [response.get("Error", {}).get("Code") for response in answer["Responses"]]
    refusals = ["DuplicateItem", "ResourceNotFound", "ConditionalCheckFailed", None, "ValidationError"]
    assert codes == [None, *refusals]
    assert memory.get("a", ConsistentRead=True) == {"id": {"S": "a"}, "x": {"N": "1"}}


def test_a_batch_of_reads_leaves_what_does_not_fit(memory: Memory) -> None:
    keys = [{"id": {"S": f"{number}"}} for number in range(60)]
    for key in keys:
        memory.put({**key, "text": {"S": "x" * 390_000}})
    asked = {ROWS: {"Keys": keys, "ConsistentRead": True}}
    answer = memory.call("BatchGetItem", RequestItems=asked)
    left = answer["UnprocessedKeys"][ROWS]["Keys"]
    assert len(answer["Responses"][ROWS]) == 60 - len(left) == 43
    assert (
        memory.refused("BatchGetItem", RequestItems={ROWS: {"Keys": [keys[0], keys[0]]}}).code == "ValidationException"
    )


def test_units_are_those_of_the_larger_image(memory: Memory) -> None:
    units = {"ReturnConsumedCapacity": "TOTAL"}
    large, small = {**row(1), "text": {"S": "x" * 5000}}, row(1)
    for item, expected in ((small, 1.0), (large, 5.0), (small, 5.0), (small, 1.0)):
        answer = memory.call("PutItem", TableName=ROWS, Item=item, **units)
        assert answer["ConsumedCapacity"]["CapacityUnits"] == expected
    with pytest.raises(NotModelledError):
        memory.call("PutItem", TableName=ROWS, Item=small, ReturnConsumedCapacity="INDEXES")
