from datetime import UTC, datetime

from faust_kinesis.records import Record, RecordBatch


def test_complete_tells_once() -> None:
    told: list[int] = []
    record = Record(b"secret", "key", "1", datetime.now(UTC))
    batch = RecordBatch("s", "shardId-0", (record,), 0, on_complete=lambda: told.append(1))
    seen = [batch.completed]
    batch.complete()
    batch.complete()
    assert [*seen, batch.completed] == [False, True]
    assert told == [1]


def test_no_payload_in_the_representation() -> None:
    record = Record(b"secret", "key", "1", datetime.now(UTC))
    assert "secret" not in repr(record) + repr(RecordBatch("s", "shardId-0", (record,), 0))
