"""A read model is one file and one line: here is a third one, whole."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from decimal import Decimal

import pytest
from msgspec import structs

from betting.account_type import ACCOUNT
from betting.events import BetPlaced, BetSettled, BettingEvent, FundsDeposited
from betting.money import ZERO
from betting.projections import PROJECTIONS
from ledger.runtime.aws import Clients
from ledger.store.stored_event import StoredEvent
from ledger.store.tables import Names
from projector.columns import Columns
from projector.components import Components, build_components
from projector.engine.provisioning import prepare
from projector.ingest.batch_handler import BatchHandler
from projector.projection import Projection
from projector.settings import ProjectorSettings
from tests.integration.projector.conftest import deliver
from tests.support.accounts import append, poison

pytestmark = pytest.mark.integration


@dataclass(frozen=True, slots=True)
class BetResult:
    """What one bet cost and brought."""

    stake: Decimal
    payout: Decimal
    settled: int


def fold(bet: BetResult | None, event: BettingEvent, _: StoredEvent) -> BetResult:
    before = bet or BetResult(ZERO, ZERO, 0)
    match event:
        case BetPlaced(stake=stake):
            return replace(before, stake=stake)
        case BetSettled(payout=payout):
            return replace(before, payout=payout, settled=1)
        case _:
            return before


def bet_of(event: BettingEvent, _: StoredEvent) -> str:
    return event.bet_id if isinstance(event, BetPlaced | BetSettled) else "none"


BETS = Projection(
    name="bets",
    path="bets",
    aggregates=(ACCOUNT,),
    columns=Columns(BetResult),
    fold=fold,
    part_name="bet",
    part=bet_of,
    parse_part=str,
)


@pytest.fixture
def components(
    projector_settings: ProjectorSettings, clients: Clients, ledger_tables: Names, executor: ThreadPoolExecutor
) -> Components:
    projections = (*PROJECTIONS, BETS)
    prepare(clients.dynamodb, ledger_tables, projections)
    return build_components(projector_settings, clients, executor, projections)


def test_a_third_projection_is_folded_beside_the_others(components: Components, handler: BatchHandler) -> None:
    events = append(
        components.store,
        "alice",
        [
            FundsDeposited(amount=Decimal(100), currency="EUR"),
            BetPlaced(bet_id="derby", stake=Decimal(30), currency="EUR"),
            BetPlaced(bet_id="final", stake=Decimal(20), currency="EUR"),
            BetSettled(bet_id="derby", payout=Decimal(75), currency="EUR"),
        ],
    ).events
    deliver(handler, components, events[3], events[0], events[0])
    model = components.models.active(BETS)
    assert {row.part: row.state for row in model.parts("alice", '"', "~", 10)} == {
        "none": BetResult(ZERO, ZERO, 0),
        "derby": BetResult(Decimal(30), Decimal(75), 1),
        "final": BetResult(Decimal(20), ZERO, 0),
    }
    head = model.get("alice")
    assert head is not None
    assert head.version == 4


def test_a_crash_between_the_parts_and_their_head_folds_nothing_twice(
    components: Components, handler: BatchHandler, clients: Clients
) -> None:
    events = append(
        components.store,
        "alice",
        [
            BetPlaced(bet_id="derby", stake=Decimal(30), currency="EUR"),
            BetSettled(bet_id="derby", payout=Decimal(75), currency="EUR"),
        ],
    ).events
    deliver(handler, components, *events[:1])
    model = components.models.active(BETS)
    before = model.get("alice")
    deliver(handler, components, *events)
    # As it is when a worker dies between its two writes: the part is ahead, the head where it was.
    assert before is not None
    clients.dynamodb.put_item(TableName=model.table, Item={**model.key("alice"), "version": {"N": str(before.version)}})
    for projector in components.projectors.fed():
        projector.forget("alice")
    later = append(components.store, "alice", [BetPlaced(bet_id="final", stake=Decimal(1), currency="EUR")]).events
    deliver(handler, components, *later)
    derby = model.get_many([("alice", "derby")])["alice", "derby"]
    assert (derby.version, derby.state) == (2, BetResult(Decimal(30), Decimal(75), 1))


def test_an_event_that_tells_no_part_halts_its_account(components: Components, handler: BatchHandler) -> None:
    events = append(components.store, "alice", [BetPlaced(bet_id="derby", stake=Decimal(30), currency="EUR")]).events
    deliver(handler, components, *events, structs.replace(events[0], sequence_number=2, payload="{}"))
    head = components.models.active(BETS).get("alice")
    assert head is not None
    assert head.version == 1
    assert head.halted is not None
    assert "payload of BetPlaced" in head.halted.reason


def test_the_parts_after_a_skipped_event_are_found(
    components: Components, handler: BatchHandler, clients: Clients
) -> None:
    def bet(kind: type[BetPlaced] | type[BetSettled], amount: str) -> list[StoredEvent]:
        money = {"stake" if kind is BetPlaced else "payout": Decimal(amount)}
        return append(components.store, "alice", [kind(bet_id="derby", currency="EUR", **money)]).events

    placed = bet(BetPlaced, "30")
    model = components.models.active(BETS)
    deliver(handler, components, *placed)
    head = clients.dynamodb.get_item(TableName=model.table, Key=model.key("alice"))["Item"]
    bad = poison(clients.dynamodb, components.names.events, placed[0])
    deliver(handler, components, bad)
    skipped = components.redrive.skip("bets~alice~2", components.projectors.fed, by="ann", why="ticket 1")
    assert skipped.result == "skipped"
    # As for a worker that has yet to pass it: the skipped event, which tells no part, and then one whose part is there.
    clients.dynamodb.put_item(TableName=model.table, Item=head)
    for projector in components.projectors.fed():
        projector.forget("alice")
    deliver(handler, components, bad, *bet(BetSettled, "75"))
    derby = model.get_many([("alice", "derby")])["alice", "derby"]
    assert (derby.version, derby.state) == (3, BetResult(Decimal(30), Decimal(75), 1))
