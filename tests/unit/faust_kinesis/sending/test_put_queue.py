from collections import defaultdict

from hypothesis import given
from hypothesis import strategies as st

from faust_kinesis.sending.put_queue import COMMON_RECORD, MOST_BYTES, MOST_RECORDS, Outbox, Waiting


def outbox_of(*records: Waiting[int]) -> Outbox[int]:
    outbox: Outbox[int] = Outbox()
    for record in records:
        outbox.add(record)
    return outbox


@given(st.lists(st.sampled_from("abcde"), max_size=60), st.data())
def test_the_order_of_a_key_outlives_any_refusals(keys: list[str], data: st.DataObject) -> None:
    outbox = outbox_of(*(Waiting(key, b"", number) for number, key in enumerate(keys)))
    put: dict[str, list[int]] = defaultdict(list)
    for _ in range(10_000):
        call = outbox.next_call()
        if not call:
            break
        assert len({record.partition_key for record in call}) == len(call)
        taken = [record for record in call if data.draw(st.booleans())] or call[:1]
        for record in taken:
            put[record.partition_key].append(record.told)
        outbox.settle(taken)
    assert not len(outbox)
    assert put == {key: [n for n, k in enumerate(keys) if k == key] for key in set(keys)}


def test_a_call_keeps_the_limits() -> None:
    many = outbox_of(*(Waiting(str(number), b"x", number) for number in range(1200)))
    assert len(many.next_call()) == MOST_RECORDS
    large = outbox_of(*(Waiting(str(number), b"x" * (COMMON_RECORD - 1), number) for number in range(10)))
    call = large.next_call()
    assert len(call) == 5
    assert sum(record.size for record in call) <= MOST_BYTES


def test_a_record_that_a_stream_may_refuse_goes_alone() -> None:
    small, huge = Waiting("a", b"x", 1), Waiting("b", b"x" * (COMMON_RECORD + 1), 2)
    outbox = outbox_of(small, huge, Waiting("c", b"x", 3))
    assert outbox.next_call() == [small]
    outbox.settle([small])
    assert outbox.next_call() == [huge]


def test_a_busy_key_does_not_keep_others_waiting() -> None:
    outbox = outbox_of(*(Waiting("busy", b"", number) for number in range(10)), Waiting("other", b"", 99))
    assert [record.told for record in outbox.next_call()] == [0, 99]


def test_drain_gives_everything_in_order() -> None:
    outbox = outbox_of(Waiting("a", b"", 1), Waiting("b", b"", 2), Waiting("a", b"", 3))
    assert [record.told for record in outbox.drain()] == [1, 3, 2]
    assert len(outbox) == 0
