from collections import defaultdict

from hypothesis import given
from hypothesis import strategies as st

from faust_kinesis.sending.put_queue import PutQueue
from faust_kinesis.sending.put_records import COMMON_RECORD, MAX_BYTES, MAX_RECORDS, OutgoingRecord


def queue_of(*records: OutgoingRecord[int]) -> PutQueue[int]:
    queue: PutQueue[int] = PutQueue()
    for record in records:
        queue.add(record)
    return queue


@given(st.lists(st.sampled_from("abcde"), max_size=60), st.data())
def test_the_order_of_a_key_outlives_any_refusals(keys: list[str], data: st.DataObject) -> None:
    queue = queue_of(*(OutgoingRecord(key, b"", number) for number, key in enumerate(keys)))
    put: dict[str, list[int]] = defaultdict(list)
    for _ in range(10_000):
        call = queue.next_call()
        if not call:
            break
        assert len({record.partition_key for record in call}) == len(call)
        taken = [record for record in call if data.draw(st.booleans())] or call[:1]
        for record in taken:
            put[record.partition_key].append(record.receipt)
        queue.settle(taken)
    assert not len(queue)
    assert put == {key: [n for n, k in enumerate(keys) if k == key] for key in set(keys)}


def test_a_call_keeps_the_limits() -> None:
    many = queue_of(*(OutgoingRecord(str(number), b"x", number) for number in range(1200)))
    assert len(many.next_call()) == MAX_RECORDS
    large = queue_of(*(OutgoingRecord(str(number), b"x" * (COMMON_RECORD - 1), number) for number in range(10)))
    call = large.next_call()
    assert len(call) == 5
    assert sum(record.size for record in call) <= MAX_BYTES


def test_a_record_that_a_stream_may_refuse_goes_alone() -> None:
    small, huge = OutgoingRecord("a", b"x", 1), OutgoingRecord("b", b"x" * (COMMON_RECORD + 1), 2)
    queue = queue_of(small, huge, OutgoingRecord("c", b"x", 3))
    assert queue.next_call() == [small]
    queue.settle([small])
    assert queue.next_call() == [huge]


def test_a_busy_key_does_not_keep_others_waiting() -> None:
    queue = queue_of(*(OutgoingRecord("busy", b"", number) for number in range(10)), OutgoingRecord("other", b"", 99))
    assert [record.receipt for record in queue.next_call()] == [0, 99]


def test_drain_gives_everything_in_order() -> None:
    queue = queue_of(OutgoingRecord("a", b"", 1), OutgoingRecord("b", b"", 2), OutgoingRecord("a", b"", 3))
    assert [record.receipt for record in queue.drain()] == [1, 3, 2]
    assert len(queue) == 0
