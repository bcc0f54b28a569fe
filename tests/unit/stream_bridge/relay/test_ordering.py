"""The order in which the relay puts an account's events, whatever order the table's stream shows them in."""

import random

from hypothesis import given
from hypothesis import strategies as st

from stream_bridge.relay.ordering import Missing, SentVersions, missing


def put(pages: list[list[int]], versions: SentVersions, before: int) -> list[int]:
    """What is put of pages of numbers, as the sender does it; the store gives the ``before`` events stored last."""
    done: list[int] = []
    for page in pages:
        numbers = sorted(set(page))
        lacking: list[int] = []
        for gap in missing(numbers, versions.get("a")):
            first = max(1, gap.until - before + 1) if gap.after is None else gap.after + 1
            lacking += range(first, gap.until + 1)
        done += sorted([*page, *lacking])
        versions.reach("a", numbers)
    return done


def first_occurrences(numbers: list[int]) -> list[int]:
    return list(dict.fromkeys(numbers))


@given(st.integers(1, 30), st.randoms(use_true_random=False), st.integers(1, 9))
def test_every_event_is_put_after_all_before_it(count: int, shuffle: random.Random, size: int) -> None:
    shown = list(range(1, count + 1)) + [shuffle.randint(1, count) for _ in range(count // 3)]
    shuffle.shuffle(shown)
    pages = [shown[start : start + size] for start in range(0, len(shown), size)]
    assert first_occurrences(put(pages, SentVersions(), before=count)) == list(range(1, count + 1))


@given(st.integers(2, 30), st.data())
def test_what_the_stream_never_shows_is_put_when_a_later_one_comes(count: int, data: st.DataObject) -> None:
    shown = [*sorted(data.draw(st.sets(st.integers(1, count - 1)))), count]
    assert first_occurrences(put([[number] for number in shown], SentVersions(), before=count)) == list(
        range(1, count + 1)
    )


@given(st.integers(2, 40), st.integers(1, 39), st.integers(1, 5))
def test_after_a_start_the_events_shortly_before_come_again_and_none_is_passed_over(
    count: int, checkpoint: int, before: int
) -> None:
    checkpoint = min(checkpoint, count - 1)
    earlier = list(range(1, checkpoint + 1))
    again = put([[number] for number in range(checkpoint + 1, count + 1)], SentVersions(), before=before)
    assert first_occurrences(earlier + again) == list(range(1, count + 1))


def test_a_known_account_reads_just_its_gap_and_an_unknown_one_what_is_before() -> None:
    assert missing([4, 6, 9], 3) == [Missing(4, 5), Missing(6, 8)]
    assert missing([4, 5], None) == [Missing(None, 3)]
    assert missing([1, 2], None) == []
    assert missing([2, 3], 7) == []


def test_marks_are_bounded_and_never_go_back() -> None:
    versions = SentVersions(limit=2)
    for account in "abc":
        versions.reach(account, [5])
    versions.reach("c", [3])
    assert [versions.get(account) for account in "abc"] == [None, 5, 5]
