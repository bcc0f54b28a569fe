"""Ids that were used, left to the archive by snapshots: each is still known, for ever."""

from decimal import Decimal

from betting.account_type import ACCOUNT
from betting.events import BetPlaced, BetSettled, BettingEvent
from ledger.errors import ResourceError
from tests.support.accounts import save
from tests.support.waiting import until
from tests.unit.writer.commands.conftest import INTERVAL, Rig, broken, deposit


def bets(first: int, last: int) -> list[BettingEvent]:
    """Bets that are placed and settled at once, two events each."""
    placed = [BetPlaced(bet_id=f"b{n}", stake=Decimal(1), currency="EUR") for n in range(first, last)]
    settled = [BetSettled(bet_id=f"b{n}", payout=Decimal(1), currency="EUR") for n in range(first, last)]
    return [event for pair in zip(placed, settled, strict=True) for event in pair]


def recalled(rig: Rig, bet_id: str) -> bool:
    return bet_id in rig.accounts.recall(rig.accounts.load(ACCOUNT, "alice"), [bet_id]).aggregate.state.settled_bets


def test_a_snapshot_stays_as_small_as_it_was_and_a_bet_is_archived_once(rig: Rig) -> None:
    """An account that is appended to from memory archives just the bets since its last snapshot."""
    puts: list[int] = []
    rig.table.before_batch = lambda: puts.append(1)
    loaded, sizes = rig.accounts.load(ACCOUNT, "alice"), set()
    for n in range(200):
        loaded = save(rig.accounts, loaded, bets(10 * n, 10 * n + 5))
        until(lambda n=n: rig.table.items.get("alice", {}).get("version") == {"N": str(10 * n + 10)})  # type: ignore[misc]
        sizes.add(len(rig.table.items["alice"]["state"]["S"]))
        assert len(loaded.aggregate.state.settled_bets) <= 10
    assert len(sizes) <= 4
    assert max(sizes) < 100
    assert len(puts) == 200
    assert recalled(rig, "b0")
    assert not recalled(rig, "b5")
    assert len(rig.table.items) == 1 + 200 * 5


def test_the_archive_is_asked_only_for_what_the_state_cannot_tell(rig: Rig) -> None:
    rig.append(*bets(0, 3))
    assert recalled(rig, "b0")
    assert not recalled(rig, "b7")
    assert rig.table.looked_for == [], "nothing is archived yet"
    rig.append(*bets(3, 5))
    until(lambda: "alice" in rig.table.items)
    rig.append(*bets(7, 8))
    assert recalled(rig, "b7")
    assert rig.table.looked_for == []
    assert recalled(rig, "b1")
    assert rig.table.looked_for == ["alice#b1"]


def test_an_archived_bet_is_worth_nothing_where_its_event_is_lost(rig: Rig) -> None:
    rig.append(*bets(0, 5))
    until(lambda: "alice" in rig.table.items)
    rig.append(deposit(), deposit())
    rig.table.items["alice#b1"]["sequenceNumber"] = {"N": "9"}
    assert not recalled(rig, "b1"), "event 9 places another bet"
    rig.table.items["alice#b1"]["sequenceNumber"] = {"N": "99"}
    assert not recalled(rig, "b1")
    assert recalled(rig, "b2")


def test_no_snapshot_leaves_a_bet_out_that_could_not_be_archived(rig: Rig) -> None:
    def fail() -> None:
        raise ResourceError("gone")

    rig.table.before_batch = fail
    rig.append(*bets(0, 5))
    until(lambda: rig.counted("snapshots", outcome="failed") == 1)
    assert rig.table.items == {}
    rig.table.before_batch = lambda: None
    rig.append(*bets(5, 10))
    until(lambda: "alice" in rig.table.items)
    assert all(recalled(rig, f"b{n}") for n in range(10))


def test_a_snapshot_of_the_schema_before_is_read_where_it_has_no_settled_bets_and_replaced_where_it_has(
    rig: Rig,
) -> None:
    rig.store.add("alice", *[deposit()] * INTERVAL, *bets(0, 4))
    former = broken(
        schemaVersion={"N": "1"}, version={"N": str(INTERVAL)}, eventHash={"S": rig.store.hash("alice", 10)}
    )
    state = '{"version":10,"currency":"EUR","balance":"10.00","openBets":{},"settledBets":%s}'
    rig.table.items["alice"] = former | {"state": {"S": state % "[]"}}
    rig.store.read_after.clear()
    assert rig.accounts.load(ACCOUNT, "alice").aggregate.state.version == 18
    assert rig.store.read_after == [18 - INTERVAL - 1]
    rig.table.items["alice"] = former | {"state": {"S": state % '["b9"]'}}
    assert rig.accounts.load(ACCOUNT, "alice").aggregate.state.settled_bets.recent.keys() == {"b0", "b1", "b2", "b3"}
    assert rig.counted("snapshots_ignored", reason="schema") == 1
    rig.append(*bets(4, 6))
    until(lambda: rig.table.items["alice"]["schemaVersion"] == {"N": str(ACCOUNT.snapshots.schema)})
    assert all(recalled(rig, f"b{n}") for n in range(6))
