"""BatchExecuteStatement as it is: the body that botocore would send, and answers as it would read them."""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import example, given, settings
from hypothesis import strategies as st

from aws_client.fast.writes import install_fast_writes
from tests.support.aws.answers import Answers

texts = st.text(max_size=8)
values = (
    st.fixed_dictionaries({"S": texts})
    | st.fixed_dictionaries({"N": st.integers().map(str)})
    | st.fixed_dictionaries({"BOOL": st.booleans()})
    | st.just({"NULL": True})
    | st.fixed_dictionaries({"B": st.binary(max_size=4)})
    | st.fixed_dictionaries({"M": st.dictionaries(texts, st.fixed_dictionaries({"S": texts}), max_size=2)})
)
statements = st.lists(
    st.fixed_dictionaries(
        {"Statement": st.text(min_size=1, max_size=20)},
        optional={"Parameters": st.lists(values, min_size=1, max_size=3), "ConsistentRead": st.booleans()},
    ),
    min_size=1,
    max_size=4,
)
extras = st.fixed_dictionaries({}, optional={"ReturnConsumedCapacity": st.sampled_from(["TOTAL", "NONE"])})

odd = st.none() | st.booleans() | st.integers() | texts | st.lists(st.integers(), max_size=1)
wide = st.integers(2**63, 2**80)
item = st.just({"k": {"B": "AAAA"}})
responses = st.fixed_dictionaries(
    {"TableName": texts}, optional={"Error": st.fixed_dictionaries({"Code": texts}, optional={"Message": texts})}
)
#: One part of an answer that is of another type, or one too many.
broken_responses = st.one_of(
    st.tuples(responses, st.dictionaries(st.sampled_from(["TableName", "Error", "Other"]), odd | wide, min_size=1)),
    st.tuples(responses, st.fixed_dictionaries({"Item": item})),
    st.tuples(
        responses,
        st.fixed_dictionaries(
            {
                "Error": st.fixed_dictionaries({"Code": texts | odd | wide})
                | st.fixed_dictionaries({"Code": texts, "Item": item})
            }
        ),
    ),
).map(lambda parts: parts[0] | parts[1])
capacity = st.fixed_dictionaries({"TableName": texts, "CapacityUnits": st.floats(0, 100) | wide | odd})
answers = st.fixed_dictionaries(
    {"Responses": st.lists(responses, max_size=4) | st.lists(responses | broken_responses | odd, max_size=3) | odd},
    optional={"ConsumedCapacity": st.lists(capacity, max_size=2) | odd | wide},
)


@pytest.fixture(scope="module")
def dynamodb_pair() -> tuple[Answers, Answers]:
    """A client as botocore makes it, and one that sends statements as they are."""
    plain, fast = Answers("dynamodb"), Answers("dynamodb")
    install_fast_writes(fast.client)
    return plain, fast


def outcome(answers: Answers, status: int, body: bytes, request: dict[str, Any]) -> tuple[Any, Any]:
    """What was sent, and what batch_execute_statement gives or which error it raises."""
    answers.status, answers.body = status, body
    answers.sent.clear()
    try:
        answer = answers.client.batch_execute_statement(**request)
    except Exception as error:
        answer = [type(error).__name__, str(error)]
    # As text, because what differs in type but is equal (1 and True, 1 and 1.0) must not pass.
    return [json.loads(sent) for sent in answers.sent], json.dumps(answer, sort_keys=True, default=repr)


@given(given=statements, extra=extras)
def test_the_request_says_what_botocore_would(
    dynamodb_pair: tuple[Answers, Answers], given: list[dict[str, Any]], extra: dict[str, Any]
) -> None:
    plain, fast = dynamodb_pair
    request = {"Statements": given, **extra}
    assert outcome(fast, 200, b"{}", request) == outcome(plain, 200, b"{}", request)


@settings(max_examples=300)
@example(body=b'{"Responses":[{"TableName":"t","Error":{"Code":"c","Item":{"k":{"B":"AAAA"}}}}]}', status=200)
@example(body=b'{"Responses":[{"TableName":"t","Error":{"Code":"c","Other":"x"}}]}', status=200)
@example(body=b'{"Responses":[{"TableName":"t","Item":{"k":{"B":"AAAA"}}}]}', status=200)
@example(body=b'{"Responses":[{"TableName":"t","Other":1}]}', status=200)
@example(body=b'{"Responses":[{"TableName":null,"Error":null}]}', status=200)
@example(body=b'{"Responses":[],"ConsumedCapacity":[{"CapacityUnits":1180591620717411303425}]}', status=200)
@example(body=b'{"Responses":[{"TableName":"t"}]}', status=500)
@given(
    body=answers.map(lambda answer: json.dumps(answer).encode()) | st.binary(max_size=20),
    status=st.sampled_from([200, 200, 400, 500]),
)
def test_every_answer_is_as_botocore_reads_it(dynamodb_pair: tuple[Answers, Answers], body: bytes, status: int) -> None:
    plain, fast = dynamodb_pair
    request = {"Statements": [{"Statement": "x"}, {"Statement": "y"}]}
    assert outcome(fast, status, body, request) == outcome(plain, status, body, request)


def test_botocore_gets_one_statement_to_check_and_sends_them_all() -> None:
    """If this fails, botocore's events have changed, and bulk writes would send their first statement alone."""
    fast, checked = Answers("dynamodb"), []
    install_fast_writes(fast.client)
    fast.client.meta.events.register("before-parameter-build", lambda params, **_: checked.extend(params["Statements"]))
    fast.body = b'{"Responses":[{"TableName":"t"},{"TableName":"t"},{"TableName":"t"}]}'
    answer = fast.client.batch_execute_statement(Statements=[{"Statement": f"s{n}"} for n in range(3)])
    assert checked == [{"Statement": "s0"}]
    assert len(answer["Responses"]) == 3
    assert json.loads(fast.sent[0])["Statements"] == [{"Statement": f"s{n}"} for n in range(3)]


def test_a_retry_sends_all_statements_again() -> None:
    fast = Answers("dynamodb", attempts=3)
    install_fast_writes(fast.client)
    fast.status, fast.body = 500, b"{}"
    with pytest.raises(ClientError):
        fast.client.batch_execute_statement(Statements=[{"Statement": f"s{n}"} for n in range(3)])
    assert [len(json.loads(sent)["Statements"]) for sent in fast.sent] == [3, 3, 3]
