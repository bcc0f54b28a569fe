"""What the table took against what the stream shows, in any order and any number of times."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_bridge.watch.reconciler import Key, StreamReconciler

KEYS = st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 9), st.sampled_from("xy")), unique=True, max_size=20)


def test_an_event_that_is_not_shown_in_time_is_missing() -> None:
    reconciler = StreamReconciler(grace=20)
    reconciler.took([("a", 1, ""), ("a", 2, ""), ("b", 1, "")], 100)
    reconciler.shown([("a", 2, "")], 101)
    assert reconciler.missing(119.9) == []
    assert reconciler.missing(120) == [("a", 1, ""), ("b", 1, "")]
    reconciler.restart_grace([("a", 1, "")], 120)
    assert reconciler.missing(121) == [("b", 1, "")]
    assert reconciler.missing(140) == [("a", 1, ""), ("b", 1, "")]
    reconciler.shown([("b", 1, "")], 141)
    reconciler.forget([("a", 1, "")])
    assert (reconciler.missing(10**6), reconciler.waiting) == ([], 0)


@given(KEYS, KEYS, st.randoms(use_true_random=False), st.integers(1, 3))
def test_what_is_missing_is_just_what_was_taken_and_not_shown(
    taken: list[Key], shown: list[Key], shuffle: random.Random, times: int
) -> None:
    reconciler = StreamReconciler(grace=10)
    steps = [("took", key) for key in taken] + [("shown", key) for key in shown * times]
    shuffle.shuffle(steps)
    for now, (step, key) in enumerate(steps):
        (reconciler.took if step == "took" else reconciler.shown)([key], now / 1000)
    assert set(reconciler.missing(1000)) == set(taken) - set(shown)
    assert reconciler.taken == len(taken)
    # All that was taken before the first missing one is settled, and no more.
    order = [key for step, key in steps if step == "took"]
    first = next((place for place, key in enumerate(order) if key not in shown), len(order))
    assert reconciler.settled == first


def test_what_was_shown_first_is_remembered_for_a_while_and_not_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    reconciler = StreamReconciler(grace=10, memory=60)
    reconciler.shown([("a", 1, ""), ("a", 2, "")], 0)
    reconciler.took([("a", 1, "")], 59)
    reconciler.shown([("b", 1, "")], 61)
    reconciler.took([("a", 2, "")], 62)
    assert reconciler.missing(80) == [("a", 2, "")], "a false alarm, which costs a record"
    monkeypatch.setattr("stream_bridge.watch.reconciler.MAX_EARLY", 3)
    reconciler.shown([("c", number, "") for number in range(10)], 80)
    reconciler.took([("c", number, "") for number in range(10)], 81)
    assert [key for key in reconciler.missing(100) if key[0] == "c"] == [("c", number, "") for number in range(7)]


def test_it_says_when_it_is_full(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stream_bridge.watch.reconciler.MAX_WAITING", 2)
    reconciler = StreamReconciler(grace=10)
    full = []
    for number in (1, 2):
        reconciler.took([("a", number, "")], 0)
        full.append(reconciler.full)
    reconciler.shown([("a", 1, "")], 0)
    assert [*full, reconciler.full] == [False, True, False]
