"""The main promise: a checkpoint never passes a batch that is not complete."""

from hypothesis import given
from hypothesis import strategies as st

from faust_kinesis.leases.checkpoint_tracker import SHARD_END, CheckpointTracker


@given(st.integers(1, 30).flatmap(lambda size: st.permutations(range(size))), st.booleans())
def test_checkpoint_is_the_end_of_the_longest_completed_prefix(order: list[int], closed: bool) -> None:
    tracker = CheckpointTracker(limit=len(order))
    batches = [tracker.add(str(number)) for number in range(len(order))]
    if closed:
        tracker.close()
    completed: set[int] = set()
    for number in order:
        completed.add(number)
        before = tracker.checkpoint
        moved = tracker.complete(batches[number])
        prefix = next((n for n in range(len(order)) if n not in completed), len(order))
        if prefix == len(order) and closed:
            assert tracker.checkpoint == SHARD_END
        else:
            assert tracker.checkpoint == (str(prefix - 1) if prefix else None)
        assert moved == (tracker.checkpoint != before)
        assert tracker.pending == len(order) - prefix
    assert tracker.checkpoint == (SHARD_END if closed else str(len(order) - 1))


def test_completing_twice_moves_nothing() -> None:
    tracker = CheckpointTracker(limit=2)
    first, second = tracker.add("1"), tracker.add("2")
    assert tracker.complete(first)
    assert not tracker.complete(first)
    assert tracker.checkpoint == "1"
    assert tracker.complete(second)


def test_room_is_bounded_by_batches_that_are_not_in_the_prefix() -> None:
    tracker = CheckpointTracker(limit=2)
    first, second = tracker.add("1"), tracker.add("2")
    assert not tracker.has_room
    tracker.complete(second)
    assert not tracker.has_room
    tracker.complete(first)
    assert tracker.has_room


def test_an_empty_shard_that_closes_is_at_its_end() -> None:
    tracker = CheckpointTracker(limit=1)
    assert tracker.checkpoint is None
    tracker.close()
    assert tracker.checkpoint == SHARD_END
