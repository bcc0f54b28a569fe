"""The main promise: a checkpoint never passes a batch that is not complete."""

from hypothesis import given
from hypothesis import strategies as st

from faust_kinesis.leases.checkpoint_tracker import SHARD_END, ShardProgress


@given(st.integers(1, 30).flatmap(lambda size: st.permutations(range(size))), st.booleans())
def test_checkpoint_is_the_end_of_the_longest_completed_prefix(order: list[int], closed: bool) -> None:
    progress = ShardProgress(limit=len(order))
    batches = [progress.add(str(number)) for number in range(len(order))]
    if closed:
        progress.close()
    completed: set[int] = set()
    for number in order:
        completed.add(number)
        before = progress.checkpoint
        moved = progress.complete(batches[number])
        prefix = next((n for n in range(len(order)) if n not in completed), len(order))
        if prefix == len(order) and closed:
            assert progress.checkpoint == SHARD_END
        else:
            assert progress.checkpoint == (str(prefix - 1) if prefix else None)
        assert moved == (progress.checkpoint != before)
        assert progress.pending == len(order) - prefix
    assert progress.checkpoint == (SHARD_END if closed else str(len(order) - 1))


def test_completing_twice_moves_nothing() -> None:
    progress = ShardProgress(limit=2)
    first, second = progress.add("1"), progress.add("2")
    assert progress.complete(first)
    assert not progress.complete(first)
    assert progress.checkpoint == "1"
    assert progress.complete(second)


def test_room_is_bounded_by_batches_that_are_not_in_the_prefix() -> None:
    progress = ShardProgress(limit=2)
    first, second = progress.add("1"), progress.add("2")
    assert not progress.has_room
    progress.complete(second)
    assert not progress.has_room
    progress.complete(first)
    assert progress.has_room


def test_an_empty_shard_that_closes_is_at_its_end() -> None:
    progress = ShardProgress(limit=1)
    assert progress.checkpoint is None
    progress.close()
    assert progress.checkpoint == SHARD_END
