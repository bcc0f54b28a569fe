"""A table is waited for; what passes while it is waited for is no reason to give it up."""

import json
from types import SimpleNamespace

import pytest

from aws_client.tables import TableSpec
from ledger.errors import AccessRefusedError, EndpointError, ResourceError, ThrottledError
from ledger.store import tables
from ledger.store.tables import ensure_table
from tests.support.aws.answers import Answers

SPEC = TableSpec("t", (("id", "S"),))


def described(status: str) -> bytes:
    keys = [{"AttributeName": "id", "KeyType": "HASH"}]
    return json.dumps({"Table": {"TableName": "t", "TableStatus": status, "KeySchema": keys}}).encode()


@pytest.mark.parametrize(
    ("status", "code", "error"),
    [
        (400, "ProvisionedThroughputExceededException", ThrottledError),
        (400, "ThrottlingException", ThrottledError),
        (500, "InternalServerError", EndpointError),
        (400, "AccessDeniedException", AccessRefusedError),
    ],
)
def test_a_failure_while_a_table_is_waited_for_is_what_it_is(status: int, code: str, error: type[Exception]) -> None:
    answers = Answers("dynamodb")

    def fail_once_created(**_: object) -> None:
        answers.status, answers.body = status, json.dumps({"__type": code, "message": "no"}).encode()

    answers.client.meta.events.register("after-call.dynamodb.CreateTable", fail_once_created)
    with pytest.raises(error) as raised:
        ensure_table(answers.client, SPEC)
    assert type(raised.value) is error
    assert len(answers.sent) == 2


def test_a_table_is_looked_at_until_it_is_active(monkeypatch: pytest.MonkeyPatch) -> None:
    answers, slept = Answers("dynamodb"), list[float]()
    answers.body = described("CREATING")

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 3:
            answers.body = described("ACTIVE")

    monkeypatch.setattr(tables, "time", SimpleNamespace(monotonic=lambda: sum(slept), sleep=sleep))
    assert ensure_table(answers.client, SPEC)
    assert len(slept) == 3


def test_a_table_that_never_becomes_active_is_named_with_its_status(monkeypatch: pytest.MonkeyPatch) -> None:
    answers, slept = Answers("dynamodb"), list[float]()
    answers.body = described("CREATING")
    monkeypatch.setattr(tables, "time", SimpleNamespace(monotonic=lambda: sum(slept), sleep=slept.append))
    with pytest.raises(ResourceError, match=r"table t did not become ACTIVE in 120 s: it is CREATING"):
        ensure_table(answers.client, SPEC)
