"""The workloads: the same from the same seed, about 800 bytes an event, each history one that the account allows."""

from collections import Counter, defaultdict

import pytest

from bench.contest.contest import folded
from bench.contest.workloads import REPEATED, WINDOW, WORKLOADS, Delivery, Workload
from ledger.store.change_record import encode

EVENTS = 3_000


def deliveries(workload: Workload, seed: int = 1) -> list[Delivery]:
    return list(workload.deliveries(EVENTS, seed))


@pytest.mark.parametrize("workload", WORKLOADS.values(), ids=lambda each: each.name)
def test_a_workload_is_what_it_says(workload: Workload) -> None:
    found = deliveries(workload)
    assert found == deliveries(workload)
    assert found != deliveries(workload, seed=2)
    sizes = [len(encode(each.event, "domain-events-test-12345678", "us-east-1")) for each in found]
    assert 750 < min(sizes) < sum(sizes) / len(sizes) < max(sizes) < 850
    numbers: defaultdict[str, set[int]] = defaultdict(set)
    for each in found:
        numbers[each.event.aggregate_id].add(each.event.sequence_number)
    assert sum(map(len, numbers.values())) == EVENTS
    assert all(found == set(range(1, len(found) + 1)) for found in numbers.values())
    # The account's own fold refuses what breaks a rule.
    assert folded(found).keys() == numbers.keys()


def test_the_skewed_accounts_follow_zipf() -> None:
    counts = Counter(each.event.aggregate_id for each in WORKLOADS["skewed"].deliveries(50_000, 1))
    ranked = [counts[f"player-{rank:07d}"] for rank in range(1_000)]
    assert 900 < len(counts) <= 1_000
    # rank 1 against rank 10: 10 ** 0.99
    assert 8 < ranked[0] / ranked[9] < 12
    assert ranked[0] > ranked[1] > ranked[9] > ranked[99] > ranked[999]


def test_uniform_has_an_account_an_event_and_hot_has_one() -> None:
    assert len({each.event.aggregate_id for each in deliveries(WORKLOADS["uniform"])}) == EVENTS
    assert len({each.event.aggregate_id for each in deliveries(WORKLOADS["hot"])}) == 1


def test_in_order_under_the_accounts_key_unless_shuffled() -> None:
    for name in ("skewed", "uniform", "hot", "backlog"):
        last: Counter[str] = Counter()
        for each in deliveries(WORKLOADS[name]):
            assert each.key == each.event.aggregate_id
            last[each.key] += 1
            assert each.event.sequence_number == last[each.key]


def test_shuffled_repeats_and_strays_within_its_window() -> None:
    found, order = deliveries(WORKLOADS["shuffled"]), deliveries(WORKLOADS["skewed"])
    counts = Counter(each.event for each in found)
    assert set(counts) == {each.event for each in order}
    assert set(counts.values()) == {1, 2}
    assert abs(len(found) - EVENTS * (1 + REPEATED)) < EVENTS * 0.03
    assert len({each.key for each in found}) == len(found)
    place = {each.event: number for number, each in enumerate(order)}
    places = [place[each.event] for each in found]
    assert places != sorted(places)
    # Nothing that stood more than a window behind may come first.
    assert all(earlier - later <= WINDOW for later, earlier in zip(places[1:], places, strict=False))
