"""GetRecords answers read at once: whatever an endpoint answers, they are as botocore reads them."""

import json
from base64 import b64encode
from datetime import UTC
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from aws_client.fast import get_records
from tests.support.aws.answers import Answers

texts = st.text(max_size=8)
odd = st.none() | st.booleans() | st.integers() | st.floats() | texts | st.lists(st.integers(), max_size=2)
times = st.floats(0, 4e9) | st.integers(0, 4_000_000_000)
records = st.fixed_dictionaries(
    {
        "SequenceNumber": st.integers(0, 10**56).map(str),
        "ApproximateArrivalTimestamp": times,
        "Data": st.binary(max_size=40).map(lambda data: b64encode(data).decode()),
        "PartitionKey": texts,
    },
    optional={"EncryptionType": st.sampled_from(["NONE", "KMS"])},
)
answers: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {"Records": st.lists(records, max_size=4)},
    optional={"NextShardIterator": texts, "MillisBehindLatest": st.integers(0, 10**12)},
)
wide = st.integers(2**63, 2**80)
#: One part of an answer is missing, of another type, or one too many.
broken_parts = st.one_of(
    st.tuples(st.just("SequenceNumber"), odd | wide),
    st.tuples(
        st.just("ApproximateArrivalTimestamp"), st.just("2026-01-01T00:00:00Z") | st.floats(0, 1e20) | odd | wide
    ),
    st.tuples(st.just("Data"), st.sampled_from(["", "AAAA", "A", "AA=", "A\nAAA", "-_+/", "é"]) | odd),
    st.tuples(st.sampled_from(["PartitionKey", "EncryptionType", "Other"]), odd | wide),
    st.tuples(st.just("/Records"), st.lists(odd, max_size=2) | odd),
    st.tuples(st.sampled_from(["/NextShardIterator", "/MillisBehindLatest", "/Other"]), odd | wide),
    st.tuples(st.just("/ChildShards"), st.lists(st.fixed_dictionaries({"ShardId": texts | wide}), max_size=1)),
)


@st.composite
def broken_answers(draw: st.DrawFn) -> dict[str, Any]:
    answer: dict[str, Any] = draw(answers)
    name, value = draw(broken_parts)
    at = answer if name.startswith("/") else draw(records)
    if at is not answer:
        answer["Records"].append(at)
    if draw(st.booleans()):
        at[name.removeprefix("/")] = value
    else:
        at.pop(name.removeprefix("/"), None)
    return answer


bodies = (
    answers.map(lambda answer: json.dumps(answer).encode())
    | broken_answers().map(lambda answer: json.dumps(answer).encode())
    | odd.map(lambda answer: json.dumps(answer).encode())
    | answers.map(lambda answer: json.dumps(answer, ensure_ascii=False).encode(errors="surrogatepass"))
    | st.binary(max_size=30)
)


@pytest.fixture(scope="module")
def kinesis_pair() -> tuple[Answers, Answers]:
    """A client as botocore makes it, and one that reads pages at once."""
    plain, fast = Answers("kinesis"), Answers("kinesis")
    get_records.install_fast_get_records(fast.client)
    return plain, fast


def outcome(answers: Answers, status: int, body: bytes) -> Any:
    """What get_records gives, or which error it raises."""
    answers.status, answers.body = status, body
    try:
        answer = answers.client.get_records(ShardIterator="x")
    except Exception as error:
        return type(error).__name__, str(error)
    for record in answer.get("Records") or []:
        if record and record.get("ApproximateArrivalTimestamp"):
            record["ApproximateArrivalTimestamp"] = record["ApproximateArrivalTimestamp"].astimezone(UTC)
    return sorted(answer.items())


GOOD = b'"SequenceNumber":"1","ApproximateArrivalTimestamp":1.5,"Data":"AAAA","PartitionKey":"k"'
WIDE = str(2**70 + 1).encode()


@settings(max_examples=300)
@example(body=b'{"Records":[],"MillisBehindLatest":' + WIDE + b"}", status=200)
@example(body=b'{"Records":[],"NextShardIterator":' + WIDE + b"}", status=200)
@example(body=b'{"Records":[],"ChildShards":[{"ShardId":' + WIDE + b"}]}", status=200)
@example(body=b'{"Records":[{' + GOOD + b',"SequenceNumber":' + WIDE + b"}]}", status=200)
@example(body=b'{"Records":[{' + GOOD + b',"PartitionKey":' + WIDE + b"}]}", status=200)
@example(body=b'{"Records":[{' + GOOD + b',"EncryptionType":' + WIDE + b"}]}", status=200)
@example(body=b'{"Records":[{' + GOOD + b',"EncryptionType":""}]}', status=200)
@example(body=b'{"Records":[{' + GOOD + b',"ApproximateArrivalTimestamp":true}]}', status=200)
@example(body=b'{"Records":[{' + GOOD + b',"ApproximateArrivalTimestamp":"1767225600"}]}', status=200)
@example(body=b'{"Records":[{' + GOOD + b',"Data":"A\\nAAA"}]}', status=200)
@example(body=b'{"Records":[{' + GOOD + b',"Data":"AA"}]}', status=200)
@example(body=b'{"Records":[{' + GOOD + b"}]}", status=500)
@given(body=bodies, status=st.sampled_from([200, 200, 200, 400, 500]))
def test_every_answer_is_as_botocore_reads_it(kinesis_pair: tuple[Answers, Answers], body: bytes, status: int) -> None:
    plain, fast = kinesis_pair
    # repr, because what differs in type but is equal (1 and True, 1 and 1.0) must not pass.
    assert repr(outcome(fast, status, body)) == repr(outcome(plain, status, body))


@given(answer=answers)
def test_a_good_answer_leaves_botocore_no_record(answer: dict[str, Any]) -> None:
    response = {"status_code": 200, "body": json.dumps(answer).encode()}
    records: dict[str, Any] = {}
    get_records._parse(response, records)
    assert len(records["Records"]) == len(answer["Records"])
    assert b"Records" not in bytes(response["body"])  # type: ignore[call-overload]


def test_botocore_still_announces_an_answer_before_it_reads_it() -> None:
    """If this fails, botocore has dropped the event: reading works on, several times slower."""
    answers, seen = Answers("kinesis"), []
    answers.client.meta.events.register("before-parse.kinesis.GetRecords", lambda **given: seen.append(given))
    answers.body = b'{"Records":[]}'
    answers.client.get_records(ShardIterator="x")
    assert seen[0]["response_dict"]["body"] == answers.body
    assert seen[0]["customized_response_dict"] == {}
