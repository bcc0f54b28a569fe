"""What is on the stream: the same events for every contender, made from a seed.

Every history obeys the account's rules, so that a right answer exists: the fold. An event has about 800 bytes as a
change record. The Zipf exponent is that of YCSB (Cooper et al., "Benchmarking Cloud Serving Systems with YCSB"), 0.99.
"""

import itertools
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final

from betting.events import BetPlaced, BetSettled, BettingEvent, FundsDeposited, FundsWithdrawn
from ledger.store.stored_event import StoredEvent, timestamp

ACCOUNTS: Final = 1_000
ZIPF_EXPONENT: Final = 0.99
#: Of the shuffled workload: how far a record strays from its place at most, and which share of them comes twice.
WINDOW: Final = 500
REPEATED: Final = 0.2
_BEGIN: Final = datetime(2026, 1, 31, tzinfo=UTC)
_CURRENCY: Final = "EUR"


@dataclass(frozen=True, slots=True)
class Delivery:
    """One record: an event, and the partition key under which it is put."""

    event: StoredEvent
    key: str


@dataclass(frozen=True, slots=True)
class Workload:
    """What a workload is, in one sentence, and the records that it delivers for a number of distinct events.

    ``needs_store``: the records come out of order, so that a reader must find missing events in the events table.
    """

    name: str
    text: str
    deliveries: Callable[[int, int], Iterator[Delivery]]
    needs_store: bool = False


@dataclass(slots=True)
class _Account:
    """What the next event of an account may be."""

    account_id: str
    version: int = 0
    cents: int = 0
    bets: list[tuple[str, int]] = field(default_factory=list)

    def next_event(self, rng: random.Random) -> BettingEvent:
        self.version += 1
        kind = rng.random()
        if self.bets and kind < 0.3:
            bet_id, stake = self.bets.pop(0)
            payout = rng.choice((0, 0, stake * 2))
            self.cents += payout
            return BetSettled(bet_id=bet_id, payout=_money(payout), currency=_CURRENCY)
        amount = rng.randrange(1, 50_000)
        if kind < 0.6 and self.cents >= amount:
            self.cents -= amount
            bet_id = f"{self.account_id}.{self.version}.{rng.getrandbits(96):024x}"
            self.bets.append((bet_id, amount))
            return BetPlaced(bet_id=bet_id, stake=_money(amount), currency=_CURRENCY)
        if kind < 0.75 and self.cents >= amount:
            self.cents -= amount
            return FundsWithdrawn(amount=_money(amount), currency=_CURRENCY)
        self.cents += amount
        return FundsDeposited(amount=_money(amount), currency=_CURRENCY)


def _money(cents: int) -> Decimal:
    return Decimal(cents) / 100


def histories(account_ids: Iterator[str], seed: int) -> Iterator[StoredEvent]:
    """An event for each account id drawn, numbered 1, 2, 3 ... by account, a millisecond apart."""
    rng = random.Random(seed)
    accounts: dict[str, _Account] = {}
    for number, account_id in enumerate(account_ids):
        account = accounts.get(account_id)
        if account is None:
            account = accounts[account_id] = _Account(account_id)
        event = account.next_event(rng)
        yield StoredEvent(
            account_id,
            account.version,
            "account",
            event.event_type,
            event.payload(),
            timestamp(_BEGIN + timedelta(milliseconds=number)),
            f"shop:checkout:{rng.getrandbits(128):032x}:{rng.getrandbits(64):016x}",
        )


def zipf(seed: int, accounts: int = ACCOUNTS, exponent: float = ZIPF_EXPONENT) -> Iterator[str]:
    """Account ids for ever: the n-th most frequent one has a share of about 1/n."""
    weights = list(itertools.accumulate(1 / rank**exponent for rank in range(1, accounts + 1)))
    rng, population = random.Random(seed), [f"player-{rank:07d}" for rank in range(accounts)]
    while True:
        yield from rng.choices(population, cum_weights=weights, k=1_000)


def _keyed(events: Iterator[StoredEvent]) -> Iterator[Delivery]:
    """An account's events on one shard, in order, as the relay puts them."""
    return (Delivery(event, event.aggregate_id) for event in events)


def skewed(count: int, seed: int) -> Iterator[Delivery]:
    """Zipf over 1,000 accounts."""
    return _keyed(histories(itertools.islice(zipf(seed), count), seed))


def uniform(count: int, seed: int) -> Iterator[Delivery]:
    """Each event another account."""
    return _keyed(histories((f"player-{number:07d}" for number in range(count)), seed))


def hot(count: int, seed: int) -> Iterator[Delivery]:
    """One account, so one shard."""
    return _keyed(histories(itertools.repeat("player-0000000", count), seed))


def shuffled(count: int, seed: int) -> Iterator[Delivery]:
    """The skewed events out of order, a fifth of them twice, each record on any shard, as the native destination may.

    Every record strays at most WINDOW places; each event comes at least once.
    """
    rng = random.Random(seed)
    places: list[tuple[float, int, StoredEvent]] = []
    for number, delivery in enumerate(skewed(count, seed)):
        for _ in range(2 if rng.random() < REPEATED else 1):
            places.append((number + rng.uniform(0, WINDOW), len(places), delivery.event))
    for _, _, event in sorted(places, key=lambda place: place[:2]):
        yield Delivery(event, f"{rng.getrandbits(64):016x}")


WORKLOADS: Final[dict[str, Workload]] = {
    workload.name: workload
    for workload in (
        Workload("skewed", "Zipf over 1,000 accounts, each account on one shard and in order", skewed),
        Workload("uniform", "each event another account", uniform),
        Workload("hot", "one account, so one shard", hot),
        Workload(
            "shuffled",
            f"the skewed events up to {WINDOW} places out of order on any shard, {REPEATED:.0%} of them twice",
            shuffled,
            needs_store=True,
        ),
        Workload("backlog", "the skewed events, many of them, from trim horizon", skewed),
    )
}
