"""What the table took against what the stream shows, in any order and any number of times."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_bridge.watch import reconciler as witnesses
from stream_bridge.watch.reconciler import Key, Witness

KEYS = st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 9)), unique=True, max_size=20)


def test_an_event_that_is_not_shown_in_time_is_missing() -> None:
    witness = Witness(grace=20)
    witness.took([("a", 1), ("a", 2), ("b", 1)], 100)
    witness.shown([("a", 2)], 101)
    assert witness.missing(119.9) == []
    assert witness.missing(120) == [("a", 1), ("b", 1)]
    witness.look_again([("a", 1)], 120)
    assert witness.missing(121) == [("b", 1)]
    assert witness.missing(140) == [("a", 1), ("b", 1)]
    witness.shown([("b", 1)], 141)
    witness.forget([("a", 1)])
    assert (witness.missing(10**6), witness.waiting) == ([], 0)


@given(KEYS, KEYS, st.randoms(use_true_random=False), st.integers(1, 3))
def test_what_is_missing_is_just_what_was_taken_and_not_shown(
    taken: list[Key], shown: list[Key], shuffle: random.Random, times: int
) -> None:
    witness = Witness(grace=10)
    steps = [("took", key) for key in taken] + [("shown", key) for key in shown * times]
    shuffle.shuffle(steps)
    for now, (step, key) in enumerate(steps):
        (witness.took if step == "took" else witness.shown)([key], now / 1000)
    assert set(witness.missing(1000)) == set(taken) - set(shown)
    assert witness.taken == len(taken)
    # All that was taken before the first missing one is settled, and no more.
    order = [key for step, key in steps if step == "took"]
    first = next((place for place, key in enumerate(order) if key not in shown), len(order))
    assert witness.settled == first


def test_what_was_shown_first_is_remembered_for_a_while_and_not_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    witness = Witness(grace=10, memory=60)
    witness.shown([("a", 1), ("a", 2)], 0)
    witness.took([("a", 1)], 59)
    witness.shown([("b", 1)], 61)
    witness.took([("a", 2)], 62)
    assert witness.missing(80) == [("a", 2)], "a false alarm, which costs a record"
    monkeypatch.setattr(witnesses, "MOST_EARLY", 3)
    witness.shown([("c", number) for number in range(10)], 80)
    witness.took([("c", number) for number in range(10)], 81)
    assert [key for key in witness.missing(100) if key[0] == "c"] == [("c", number) for number in range(7)]


def test_it_says_when_it_is_full(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(witnesses, "MOST_WAITING", 2)
    witness = Witness(grace=10)
    full = []
    for number in (1, 2):
        witness.took([("a", number)], 0)
        full.append(witness.full)
    witness.shown([("a", 1)], 0)
    assert [*full, witness.full] == [False, True, False]
