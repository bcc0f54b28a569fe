"""The AWS in memory is held to the endpoint: the same random calls get the same answers."""

from random import Random
from typing import Any

import pytest

from tests.integration.simulation.conftest import MakeTable
from tests.support.aws.two_endpoints import Answer, TwoEndpoints
from tests.support.expressions import Expressions, attributes, value
from tests.support.refused_updates import STRICT_UPDATES, UPDATES

pytestmark = pytest.mark.integration

ROWS = (("id", "S"),)
PARTS = (("id", "S"), ("part", "S"))
EVENTS = (("id", "S"), ("number", "N"))


def key(random: Random, ids: int = 3) -> dict[str, Any]:
    return {"id": {"S": f"id-{random.randrange(ids)}"}}


@pytest.mark.parametrize("seed", range(4))
def test_items(two: TwoEndpoints, make_table: MakeTable, seed: int) -> None:
    random = Random(f"items {seed}")
    table = make_table("rows", *ROWS)
    for _ in range(150):
        _write_or_read(two, table, random)
    assert two.calls >= 150


def _write_or_read(two: TwoEndpoints, table: str, random: Random) -> None:
    words = two.expressions(random)
    request: dict[str, Any] = {"TableName": table}
    condition = words.condition() if random.random() < 0.6 else None
    if condition is not None:
        request["ConditionExpression"] = condition
        request["ReturnValuesOnConditionCheckFailure"] = random.choice(("NONE", "ALL_OLD"))
    match random.choice(("put", "put", "update", "update", "update", "delete", "get")):
        case "put":
            request |= words.request(Item=key(random) | attributes(random))
            two.dynamodb("put_item", ReturnValues=random.choice(("NONE", "ALL_OLD")), **request)
        case "update":
            returned = random.choice(("NONE", "ALL_OLD", "ALL_NEW", "UPDATED_OLD", "UPDATED_NEW"))
            if returned.startswith("UPDATED"):
                # AWS shows the nested attributes that were updated, LocalStack all of the map that they are in.
                request["UpdateExpression"] = words.update(nested=False)
            elif random.random() < 0.9:
                request["UpdateExpression"] = words.update()
            two.dynamodb("update_item", ReturnValues=returned, **request, **words.request(Key=key(random)))
        case "delete":
            request |= words.request(Key=key(random))
            two.dynamodb("delete_item", ReturnValues=random.choice(("NONE", "ALL_OLD")), **request)
        case _:
            words = two.expressions(random)
            projected = {"ProjectionExpression": words.projection()} if random.random() < 0.5 else {}
            consistent = random.random() < 0.5
            request = {"TableName": table, "ConsistentRead": consistent, **projected}
            two.dynamodb("get_item", **request, **words.request(Key=key(random)))


def test_refused_updates(two: TwoEndpoints, make_table: MakeTable) -> None:
    table = make_table("rows", *ROWS)
    one = {"version": {"N": "1"}, "halted": {"M": {"x": {"N": "1"}}}, "numbers": {"NS": ["2"]}}
    for number, update in enumerate((*UPDATES, *(STRICT_UPDATES if two.strict else ()))):
        key, nobody = {"id": {"S": f"id-{number}"}}, {"id": {"S": f"nobody-{number}"}}
        two.dynamodb("put_item", TableName=table, Item=key | one)
        for each in (key, nobody):
            two.dynamodb("update_item", TableName=table, Key=each, ReturnValues="ALL_NEW", **update)
            two.dynamodb("get_item", TableName=table, Key=each)


def test_refused_keys_and_items(two: TwoEndpoints, make_table: MakeTable) -> None:
    table = make_table("parts", *PARTS)
    good = {"id": {"S": "a"}, "part": {"S": "b"}}
    for item in (
        good,
        {"id": {"S": "a"}},
        {"id": {"S": "a"}, "part": {"N": "1"}},
        {"id": {"S": ""}, "part": {"S": "b"}},
        {"id": {"S": "x" * 2049}, "part": {"S": "b"}},
        {"id": {"S": "x" * 2048}, "part": {"S": "b" * 1024}},
        {"id": {"S": "x"}, "part": {"S": "b" * 1025}},
        good | {"text": {"S": "x" * (400 * 1024 - 8 - 4)}},
        good | {"text": {"S": "x" * (400 * 1024 - 8 - 3)}},
        good | {"tags": {"SS": ["a", "a"]}},
    ):
        two.dynamodb("put_item", TableName=table, Item=item)
        two.dynamodb("get_item", TableName=table, Key=item)
        two.dynamodb("delete_item", TableName=table, Key=item)
    two.dynamodb("put_item", TableName="nowhere", Item=good)
    two.dynamodb("put_item", TableName=table, Item=good, ReturnValues="ALL_NEW")


@pytest.mark.parametrize("seed", range(3))
def test_transactions(two: TwoEndpoints, make_table: MakeTable, seed: int) -> None:
    random = Random(f"transactions {seed}")
    tables = [make_table("rows", *ROWS), make_table("others", *ROWS)]
    earlier: list[dict[str, Any]] = []
    for number in range(60):
        # The embedded AWS does not know a request again whose numbers are not written as it stores them.
        if two.strict and earlier and random.random() < 0.15:
            request = random.choice(earlier)
        else:
            # No item twice: that is refused before any condition is looked at, or after it.
            items = random.sample([(table, n) for table in tables for n in range(6)], random.randint(1, 3))
            actions = [_action(two, random, *item) for item in items]
            request = {"TransactItems": actions, "ClientRequestToken": f"{_of_profile(tables[0])}-{seed}-{number}"}
        answer = two.dynamodb("transact_write_items", ordered=_as_cancelled, **request)
        if "Error" not in answer:
            earlier.append(request)
        _write_or_read(two, random.choice(tables), random)
    changed = {**earlier[0], "TransactItems": [*earlier[0]["TransactItems"], _action(two, random, tables[0], 6)]}
    two.dynamodb("transact_write_items", **changed)


def _as_cancelled(answer: Answer) -> Answer:
    """What does not fit an item cancels a transaction; LocalStack refuses it, without reasons."""
    unfit = any(reason["Code"] == "ValidationError" for reason in answer.get("CancellationReasons", ()))
    return {"Error": "ValidationException"} if unfit else answer


def _counted(table: str) -> dict[str, Any]:
    one = {"ExpressionAttributeValues": {":one": {"N": "1"}}}
    return {"Update": {"TableName": table, "Key": {"id": {"S": "id-0"}}, "UpdateExpression": "ADD version :one", **one}}


def _of_profile(table: str) -> str:
    return table.split("-", 1)[1]


def _action(two: TwoEndpoints, random: Random, table: str, item: int) -> dict[str, Any]:
    words = two.expressions(random)
    kind = random.choice(("Put", "Update", "Delete", "ConditionCheck"))
    key = {"id": {"S": f"id-{item}"}}
    action: dict[str, Any] = {"TableName": table}
    if kind == "ConditionCheck" or random.random() < 0.5:
        action["ConditionExpression"] = words.condition()
        action["ReturnValuesOnConditionCheckFailure"] = random.choice(("NONE", "ALL_OLD"))
    if kind == "Put":
        return {kind: action | words.request(Item=key | attributes(random))}
    if kind == "Update":
        action["UpdateExpression"] = words.update()
    return {kind: action | words.request(Key=key)}


def test_limits_of_a_transaction(two: TwoEndpoints, make_table: MakeTable) -> None:
    table = make_table("rows", *ROWS)
    puts = [{"Put": {"TableName": table, "Item": {"id": {"S": f"id-{n}"}}}} for n in range(101)]
    two.dynamodb("transact_write_items", TransactItems=puts)
    two.dynamodb("transact_write_items", TransactItems=puts[:100])
    two.dynamodb("transact_write_items", TransactItems=[puts[0], puts[0]])
    once: dict[str, Any] = {"TransactItems": [_counted(table)], "ClientRequestToken": _of_profile(table)}
    for _ in range(2):
        two.dynamodb("transact_write_items", **once)
        two.dynamodb("get_item", TableName=table, Key={"id": {"S": "id-0"}})
    two.dynamodb("transact_write_items", **{**once, "TransactItems": [_counted(table), puts[1]]})
    two.dynamodb("transact_write_items", TransactItems=[{"Put": {"TableName": "nowhere", "Item": {"id": {"S": "a"}}}}])
    if two.strict:  # the embedded AWS stores an item without its key
        keyless = {"TableName": table, "Item": {"other": {"S": "a"}}}
        two.dynamodb("transact_write_items", TransactItems=[{"Put": keyless}])
    large = {"text": {"S": "x" * 390_000}}
    items = [{"id": {"S": f"id-{n}"}} | large for n in range(11)]
    two.dynamodb("transact_write_items", TransactItems=[{"Put": {"TableName": table, "Item": i}} for i in items])
    too_large = {"id": {"S": "id-0"}, "text": {"S": "x" * 410_000}}
    two.dynamodb("transact_write_items", TransactItems=[{"Put": {"TableName": table, "Item": too_large}}])


@pytest.mark.parametrize("seed", range(2))
def test_batches_of_reads(two: TwoEndpoints, make_table: MakeTable, seed: int) -> None:
    random = Random(f"reads {seed}")
    tables = {make_table("rows", *ROWS): ("id",), make_table("parts", *PARTS): ("id", "part")}
    for table, keys in tables.items():
        for number in range(20):
            item = {name: {"S": f"{name}-{number}"} for name in keys}
            two.dynamodb("put_item", TableName=table, Item=item | attributes(random))
    for _ in range(20):
        asked: dict[str, Any] = {}
        for table, keys in random.sample(list(tables.items()), random.randint(1, 2)):
            numbers = [random.randrange(60) for _ in range(random.randint(1, 8))]
            wanted = [{name: {"S": f"{name}-{number}"} for name in keys} for number in numbers]
            words = two.expressions(random)
            projected = {"ProjectionExpression": words.projection()} if random.random() < 0.3 else {}
            asked[table] = {"Keys": wanted, "ConsistentRead": random.random() < 0.5, **projected, **words.request()}
        _read_batch(two, asked)
    for count in (100, 101):
        _read_batch(two, {next(iter(tables)): {"Keys": [{"id": {"S": f"id-{number}"}} for number in range(count)]}})
    _read_batch(two, {"nowhere": {"Keys": [{"id": {"S": "a"}}]}})


@pytest.mark.parametrize("seed", range(2))
def test_batches_of_puts(two: TwoEndpoints, make_table: MakeTable, seed: int) -> None:
    random = Random(f"puts {seed}")
    tables = {make_table("rows", *ROWS): ("id",), make_table("parts", *PARTS): ("id", "part")}
    for number in range(30):
        asked = {}
        for table, keys in random.sample(list(tables.items()), random.randint(1, 2)):
            numbers = random.sample(range(20), random.randint(1, 10))
            items = [{name: {"S": f"{name}-{n}"} for name in keys} | attributes(random) for n in numbers]
            asked[table] = [{"PutRequest": {"Item": item}} for item in items]
        two.dynamodb("batch_write_item", RequestItems=asked)
        if number % 5 == 0:
            two.dynamodb("get_item", TableName=next(iter(tables)), Key={"id": {"S": f"id-{random.randrange(20)}"}})
    rows = next(iter(tables))
    for count in (25, 26):
        puts = [{"PutRequest": {"Item": {"id": {"S": f"id-{number}"}}}} for number in range(count)]
        two.dynamodb("batch_write_item", RequestItems={rows: puts})
    two.dynamodb("batch_write_item", RequestItems={rows: [{"PutRequest": {"Item": {"id": {"S": "twice"}}}}] * 2})
    two.dynamodb("batch_write_item", RequestItems={"nowhere": [{"PutRequest": {"Item": {"id": {"S": "a"}}}}]})
    for table in tables:
        _all_pages(two, "scan", {"TableName": table})


def _read_batch(two: TwoEndpoints, asked: dict[str, Any]) -> None:
    """Items come in any order."""

    def ordered(answer: Answer) -> Answer:
        found = answer.get("Responses", {})
        return {**answer, "Responses": {name: sorted(items, key=repr_of_key) for name, items in found.items()}}

    two.dynamodb("batch_get_item", ordered=ordered, RequestItems=asked)


def repr_of_key(item: dict[str, Any]) -> str:
    return repr(sorted(item.items(), key=lambda each: each[0]))


@pytest.mark.parametrize("seed", range(3))
def test_batches_of_statements(two: TwoEndpoints, make_table: MakeTable, seed: int) -> None:
    random = Random(f"statements {seed}")
    tables = {make_table("rows", *ROWS): ("id",), make_table("parts", *PARTS): ("id", "part")}
    for _ in range(40):
        table, keys = random.choice(list(tables.items()))
        numbers = random.sample(range(8), random.randint(1, 5))
        two.dynamodb("batch_execute_statement", Statements=[_statement(random, table, keys, n) for n in numbers])
        if random.random() < 0.5:
            halt = random.choice(("SET halted = :h", "REMOVE halted", "SET revision = :h"))
            found = {":h": {"N": str(random.randrange(3))}} if ":h" in halt else None
            request: dict[str, Any] = {"ExpressionAttributeValues": found} if found else {}
            where = {name: {"S": f"{name}-{random.randrange(8)}"} for name in keys}
            two.dynamodb("update_item", TableName=table, Key=where, UpdateExpression=halt, **request)
    for table in tables:
        _all_pages(two, "scan", {"TableName": table})


def _statement(random: Random, table: str, keys: tuple[str, ...], number: int) -> dict[str, Any]:
    """As `projector.engine.read_model` writes them."""
    where = [{"S": f"{name}-{number}"} for name in keys]
    version, state = {"N": str(random.randrange(4))}, value(random, "S", "N")
    if random.random() < 0.4:
        fields = ", ".join(f"'{name}': ?" for name in (*keys, "version", "state"))
        return {"Statement": f'INSERT INTO "{table}" VALUE {{{fields}}}', "Parameters": [*where, version, state]}
    matched = " AND ".join(f'"{name}"=?' for name in keys)
    condition = f'{matched} AND "version"=? AND "halted" IS MISSING AND "revision"'
    text = f'UPDATE "{table}" SET "version"=? SET "state"=? WHERE {condition}'
    parameters = [version, state, *where, {"N": str(random.randrange(4))}]
    if random.random() < 0.7:
        return {"Statement": f"{text} IS MISSING", "Parameters": parameters}
    return {"Statement": f"{text}=?", "Parameters": [*parameters, {"N": str(random.randrange(3))}]}


@pytest.mark.parametrize("keys", [PARTS, EVENTS], ids=["texts", "numbers"])
def test_pages(two: TwoEndpoints, make_table: MakeTable, keys: tuple[tuple[str, str], ...]) -> None:
    random = Random(f"pages {keys}")
    table, (sort, kind) = make_table("pages", *keys), keys[1]
    for number in range(60):
        at = {kind: str(number * 3 - 30) if kind == "N" else f"{number:02d}"}
        two.dynamodb("put_item", TableName=table, Item=key(random) | {sort: at} | attributes(random))
    texts = ("-7", "12", "40.5", "90") if kind == "N" else ("07", "12", "4", "9")
    for _ in range(25):
        words = two.expressions(random)
        hashed = f"{words.path('id')} = {words.value(key(random, 4)['id'])}"
        ranged = _range(words, random, sort, kind, texts)
        request: dict[str, Any] = {"TableName": table, **_page_options(random, words)}
        request["KeyConditionExpression"] = f"{hashed} AND {ranged}" if ranged else hashed
        if random.random() < 0.5:
            request["ScanIndexForward"] = random.random() < 0.5
        _all_pages(two, "query", request | words.request())
    for _ in range(10):
        words = two.expressions(random)
        request = {"TableName": table, **_page_options(random, words), **words.request()}
        segments = random.randint(1, 3)
        _all_segments(two, request, segments)


def _range(words: Expressions, random: Random, sort: str, kind: str, texts: tuple[str, ...]) -> str:
    """A condition on the sort key, or none."""
    low, high = sorted(random.sample(range(len(texts)), 2))
    match random.randrange(4 if kind == "S" else 3):
        case 0:
            return ""
        case 1:
            first, last = ({kind: texts[bound]} for bound in (low, high))
            return f"{words.path(sort)} BETWEEN {words.value(first)} AND {words.value(last)}"
        case 2:
            sign = random.choice(("<", "<=", "=", ">=", ">"))
            return f"{words.path(sort)} {sign} {words.value({kind: texts[low]})}"
        case _:
            return f"begins_with({words.path(sort)}, {words.value({'S': '1'})})"


def _page_options(random: Random, words: Expressions) -> dict[str, Any]:
    options: dict[str, Any] = {}
    if random.random() < 0.5:
        options["Limit"] = random.choice((1, 3, 7, 20))
    if random.random() < 0.4:
        options["FilterExpression"] = words.condition(1)
    if random.random() < 0.3:
        options["ProjectionExpression"] = words.projection()
    elif random.random() < 0.2:
        options["Select"] = "COUNT"
    return options


def _all_pages(two: TwoEndpoints, operation: str, request: dict[str, Any]) -> None:
    """Every page of a query, compared one by one; a scan, whose order is an endpoint's own, as a whole."""
    if operation == "scan":
        _all_segments(two, request, 1)
        return
    answer = two.dynamodb(operation, **request)
    while "LastEvaluatedKey" in answer:
        answer = two.dynamodb(operation, **request, ExclusiveStartKey=answer["LastEvaluatedKey"])


def _all_segments(two: TwoEndpoints, request: dict[str, Any], segments: int) -> None:
    def read(clients: Any) -> Answer:
        items: list[Any] = []
        count = read = 0
        for segment in range(segments):
            more: dict[str, Any] = {"Segment": segment, "TotalSegments": segments} if segments > 1 else {}
            for page in clients.dynamodb.get_paginator("scan").paginate(**request, **more):
                items += page.get("Items", [])
                count, read = count + page["Count"], read + page["ScannedCount"]
                assert page["ScannedCount"] <= request.get("Limit", 1_000)
        return {"Items": sorted(items, key=repr_of_key), "Count": count, "Read": read}

    two.same(read(two.theirs), read(two.ours), "scan", request)


def test_large_pages(two: TwoEndpoints, make_table: MakeTable) -> None:
    table = make_table("pages", *EVENTS)
    for number in range(9):
        item = {"id": {"S": "a"}, "number": {"N": str(number)}, "text": {"S": "x" * 300_000}}
        two.dynamodb("put_item", TableName=table, Item=item)
    values = {":a": {"S": "a"}}
    request = {"TableName": table, "KeyConditionExpression": "id = :a", "ExpressionAttributeValues": values}
    if two.strict:  # the embedded AWS ends a page before the item that exceeds a megabyte, AWS after it
        _all_pages(two, "query", request | {"Select": "COUNT"})
    _all_pages(
        two, "query", request | {"Limit": 2, "ProjectionExpression": "#n", "ExpressionAttributeNames": {"#n": "number"}}
    )


def test_refused_pages(two: TwoEndpoints, make_table: MakeTable) -> None:
    table = make_table("pages", *PARTS)
    values = {":a": {"S": "a"}, ":b": {"S": "b"}}
    request: dict[str, Any]
    for condition, used in (
        ("part = :b", ":b"),
        ("id > :a", ":a"),
        ("id = :a AND any = :b", ":a :b"),
        ("id = :a AND other = :b", ":a :b"),
        # The embedded AWS answers these.
        *([("id = :a AND part <> :b", ":a :b"), ("id = :a OR part = :b", ":a :b")] if two.strict else []),
        ("part = :b AND id = :a", ":a :b"),
        ("(id = :a) AND (part = :b)", ":a :b"),
        ("id = :a", ":a :b"),
        ("id = :a AND part BETWEEN :b AND :a", ":a :b"),
    ):
        given = {name: values[name] for name in used.split()}
        request = {"TableName": table, "KeyConditionExpression": condition, "ExpressionAttributeValues": given}
        two.dynamodb("query", **request)
    request = {"TableName": table, "KeyConditionExpression": "id = :a", "ExpressionAttributeValues": values}
    if two.strict:  # the embedded AWS lets a filter see the key
        two.dynamodb("query", **request, FilterExpression="part = :b")
    two.dynamodb("query", **request, FilterExpression="version = :b")
    outside = {"id": {"S": "b"}, "part": {"S": "a"}}
    two.dynamodb("query", **request, FilterExpression="version = :b", ExclusiveStartKey=outside)
    two.dynamodb("query", **request, FilterExpression="version = :b", ExclusiveStartKey={"id": {"S": "a"}})
    number = {":a": {"N": "1"}}
    two.dynamodb("query", TableName=table, KeyConditionExpression="id = :a", ExpressionAttributeValues=number)
    two.dynamodb("scan", TableName=table, FilterExpression="part = :b", ExpressionAttributeValues={":b": {"S": "b"}})
    two.dynamodb("scan", TableName=table, Segment=1, TotalSegments=1)
    two.dynamodb("scan", TableName=table, Segment=0)
