"""One call of PutRecords: its limits, its answer, the pauses after refusals."""

from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st

from aws_client.retry import RetryPolicy
from faust_kinesis.sending.put_records import (
    COMMON_RECORD,
    MAX_BYTES,
    MAX_RECORDS,
    Outcome,
    OutgoingRecord,
    RefusalBackoff,
    fits,
    outcome_of,
)


def records(count: int) -> list[OutgoingRecord[int]]:
    return [OutgoingRecord("k", b"", number) for number in range(count)]


def result(code: str | None) -> Any:
    return {"ErrorCode": code} if code else {"ShardId": "shardId-0", "SequenceNumber": "1"}


def outcome(*codes: str | None) -> Outcome[int]:
    return outcome_of(records(len(codes)), cast("Any", {"Records": [result(code) for code in codes]}))


@given(st.lists(st.sampled_from([None, "InternalFailure", "ProvisionedThroughputExceededException"])))
def test_every_record_is_taken_or_refused_in_order(codes: list[str | None]) -> None:
    found = outcome(*codes)
    assert [record.receipt for record, _ in found.taken] == [at for at, code in enumerate(codes) if not code]
    assert [record.receipt for record in found.refused] == [at for at, code in enumerate(codes) if code]
    assert found.code == next((code for code in codes if code), None)


def test_a_call_has_limits_and_always_room_for_a_first_record() -> None:
    small, common, huge = (OutgoingRecord("", b"x" * size, 0) for size in (1, COMMON_RECORD, COMMON_RECORD + 1))
    assert fits(huge, 0, 0)
    assert not fits(huge, 1, 1)
    assert not fits(small, 1, huge.size)
    assert fits(small, MAX_RECORDS - 1, 0)
    assert not fits(small, MAX_RECORDS, 0)
    assert fits(common, 4, MAX_BYTES - COMMON_RECORD)
    assert not fits(common, 4, MAX_BYTES - COMMON_RECORD + 1)


def test_pauses_grow_only_while_nothing_is_taken() -> None:
    backoff = RefusalBackoff(RetryPolicy(base=1, maximum=4, jitter=0))
    busy, out, taken = outcome(None, "e"), outcome("e", "e"), outcome(None)
    assert [backoff.after(busy) for _ in range(3)] == [1, 1, 1]
    assert [backoff.after(out) for _ in range(4)] == [2, 4, 4, 4]
    assert (backoff.rounds, backoff.rounds_without_progress) == (7, 5)
    assert backoff.after(taken) == 0
    assert (backoff.after(out), backoff.rounds) == (1, 1)
