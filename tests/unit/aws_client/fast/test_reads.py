"""Scan, Query and BatchGetItem read at once: whatever an endpoint answers, it is as botocore reads it."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from aws_client.fast import reads
from tests.support.aws.answers import Answers

texts = st.text(max_size=8)
odd = st.none() | st.booleans() | st.integers() | st.floats() | texts | st.lists(st.integers(), max_size=2)
values = st.fixed_dictionaries({"S": texts}) | st.fixed_dictionaries({"N": st.integers().map(str)})
others = st.fixed_dictionaries(
    {},
    optional={
        "S": texts | odd,
        "N": odd,
        "B": st.sampled_from(["", "AAAA", "A"]),
        "BOOL": st.booleans(),
        "NULL": st.just(value=True),
        "M": st.dictionaries(texts, values, max_size=2),
        "L": st.lists(values, max_size=2),
        "NS": st.lists(texts, max_size=2),
        "X": odd,
    },
)
keys = st.dictionaries(texts, values, max_size=2)
items = st.dictionaries(texts, values, max_size=4)
consumed = st.fixed_dictionaries({"TableName": texts, "CapacityUnits": st.floats(0, 9)})
pages: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {"Items": st.lists(items, max_size=4)},
    optional={
        "Count": st.integers(0, 9),
        "ScannedCount": st.integers(0, 9),
        "LastEvaluatedKey": keys,
        "ConsumedCapacity": consumed,
    },
)
batches: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {"Responses": st.dictionaries(texts, st.lists(items, max_size=3), max_size=2)},
    optional={
        "UnprocessedKeys": st.dictionaries(
            texts, st.fixed_dictionaries({"Keys": st.lists(keys, max_size=2)}), max_size=2
        ),
        "ConsumedCapacity": st.lists(consumed, max_size=2),
    },
)
answers = pages | batches
MEMBERS = [
    "Items",
    "Count",
    "ScannedCount",
    "LastEvaluatedKey",
    "Responses",
    "UnprocessedKeys",
    "ConsumedCapacity",
    "X",
]
broken = st.tuples(
    answers,
    st.sampled_from(MEMBERS),
    odd
    | st.lists(st.dictionaries(texts, values | others | odd, max_size=3) | odd, max_size=3)
    | st.dictionaries(texts, st.lists(st.dictionaries(texts, values | others | odd, max_size=3), max_size=2) | odd),
).map(lambda parts: {**parts[0], parts[1]: parts[2]})
bodies = (
    (answers | broken | odd).map(lambda answer: json.dumps(answer).encode())
    | answers.map(lambda answer: json.dumps(answer, ensure_ascii=False).encode(errors="surrogatepass"))
    | st.binary(max_size=30)
)
REQUESTS: dict[str, dict[str, Any]] = {
    "scan": {"TableName": "table"},
    "query": {"TableName": "table", "KeyConditionExpression": "id = :id"},
    "batch_get_item": {"RequestItems": {"table": {"Keys": [{"id": {"S": "x"}}]}}},
}
WIDE = str(2**70 + 1).encode()


@pytest.fixture(scope="module")
def pair() -> tuple[Answers, Answers]:
    """A client as botocore makes it, and one that reads items at once."""
    plain, fast = Answers("dynamodb"), Answers("dynamodb")
    reads.install_fast_reads(fast.client)
    return plain, fast


def outcome(answers: Answers, operation: str, status: int, body: bytes) -> Any:
    """What a read gives, or which error it raises."""
    answers.status, answers.body = status, body
    try:
        answer = getattr(answers.client, operation)(**REQUESTS[operation])
    except Exception as error:
        return type(error).__name__, str(error)
    return sorted(answer.items())


@settings(max_examples=300)
@example(body=b'{"Items":[{"a":{"S":"x","N":"1"}}]}', status=200, operation="scan")
@example(body=b'{"Items":[{"a":{}}]}', status=200, operation="scan")
@example(body=b'{"Items":[{"a":{"S":"x"},"a":{"N":"1"}}]}', status=200, operation="scan")
@example(body=b'{"Items":[{"a":{"S":"x","S":"y"}}]}', status=200, operation="query")
@example(body=b'{"Items":[],"Count":' + WIDE + b"}", status=200, operation="query")
@example(body=b'{"Items":[],"Count":1e999}', status=200, operation="query")
@example(body=b'{"Items":[{"a":{"S":"x"}}],"Items":[]}', status=200, operation="query")
@example(body=b'{"Items":[{"a":{"S":"x"}}]}', status=500, operation="query")
@example(body=b'{"Responses":{"t":[{"a":{"S":"x"}}],"t":[]}}', status=200, operation="batch_get_item")
@example(body=b'{"Responses":{"t":[{"a":{"B":"AAAA"}}]}}', status=200, operation="batch_get_item")
@example(body=b'{"Responses":{"t":null}}', status=200, operation="batch_get_item")
@given(body=bodies, status=st.sampled_from([200, 200, 200, 400, 500]), operation=st.sampled_from(sorted(REQUESTS)))
def test_every_answer_is_as_botocore_reads_it(
    pair: tuple[Answers, Answers], body: bytes, status: int, operation: str
) -> None:
    plain, fast = pair
    # repr, because what differs in type but is equal (1 and True, 1 and 1.0) must not pass.
    assert repr(outcome(fast, operation, status, body)) == repr(outcome(plain, operation, status, body))


class Named(msgspec.Struct, forbid_unknown_fields=True):
    """An item of one text."""

    class Text(msgspec.Struct, forbid_unknown_fields=True):
        S: str

    name: Text


named = st.fixed_dictionaries({"name": st.fixed_dictionaries({"S": texts})})


@given(st.lists(named, max_size=3) | st.lists(named | items, max_size=3))
def test_items_are_of_the_type_that_is_asked_for_where_all_fit_it(
    pair: tuple[Answers, Answers], given_items: list[Any]
) -> None:
    _, fast = pair
    fast.status, fast.body = 200, json.dumps({"Items": given_items}).encode()
    with reads.items_as(Named):
        found = fast.client.scan(TableName="table")["Items"]
    fit = all(item.keys() == {"name"} and item["name"].keys() == {"S"} for item in given_items)
    assert all(isinstance(item, Named if fit else dict) for item in found)
    assert msgspec.to_builtins(found) == given_items
    assert fast.client.scan(TableName="table")["Items"] == given_items


@given(answer=answers)
def test_a_good_answer_leaves_botocore_no_item(answer: dict[str, Any]) -> None:
    operation, member = ("Scan", "Items") if "Items" in answer else ("BatchGetItem", "Responses")
    response = {"status_code": 200, "body": json.dumps(answer).encode()}
    read: dict[str, Any] = {}
    reads._parse(operation, response_dict=response, customized_response_dict=read)
    assert read[member] == answer[member]
    assert member not in json.loads(response["body"])  # type: ignore[arg-type]
