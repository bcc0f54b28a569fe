"""No reader sees a version go back at a flip, whoever has brought an account on while the new generation was built."""

import pytest
from msgspec import structs

from betting.projections.balance_summary import BALANCE_SUMMARY, BalanceSummary
from ledger.store.tables import ensure_table
from projector.components import Components
from projector.engine.read_model import ReadModel, table_spec
from projector.projection import Row
from projector.rebuild.build_lease import BuildStore
from tests.integration.projector.test_verify import verify
from tests.support.accounts import READABLE, deposit, poison

pytestmark = pytest.mark.integration


@pytest.fixture
def generations(components: Components) -> list[ReadModel[BalanceSummary]]:
    """What readers see, and what a rebuild is building beside it."""
    dynamodb, names = components.clients.dynamodb, components.names
    ensure_table(dynamodb, table_spec(BALANCE_SUMMARY, names.profile, 2))
    BuildStore(dynamodb, names.projections).start(BALANCE_SUMMARY.name, 2, "me", active=1, segments=1)
    components.models.refresh()
    return [components.models.model(BALANCE_SUMMARY, generation) for generation in (1, 2)]


def heads(generations: list[ReadModel[BalanceSummary]]) -> list[Row[BalanceSummary]]:
    return [head for model in generations if (head := model.get("alice")) is not None]


def test_a_repair_brings_a_late_account_on_in_what_a_rebuild_is_building_too(
    components: Components, generations: list[ReadModel[BalanceSummary]]
) -> None:
    deposit(components.store, "alice", 2)
    _, tally = verify(components, repair=True)
    assert tally == {"agrees": 1}
    assert [head.version for head in heads(generations)] == [2, 2]


def test_a_redrive_folds_what_a_rebuild_is_building_as_far_as_what_readers_see(
    components: Components, generations: list[ReadModel[BalanceSummary]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An event that is appended after the new generation was folded on, and before the old one is."""
    store, old = components.store, generations[0]
    bad = poison(components.clients.dynamodb, components.names.events, deposit(store, "alice")[-1])
    for target in components.projectors.fed():
        components.aggregate_halts.apply(target, [bad])
    mended = structs.replace(bad, payload=READABLE)
    components.clients.dynamodb.put_item(TableName=components.names.events, Item=mended.to_item())
    lift = old.lift

    def appended_meanwhile(head: Row[BalanceSummary]) -> bool:
        deposit(store, "alice")
        return lift(head)

    monkeypatch.setattr(old, "lift", appended_meanwhile)
    redriven = components.redrive.redrive("balance-summary~alice~2", components.new_projectors, by="me")
    assert redriven.result == "redriven"
    assert [head.version for head in heads(generations)] == [3, 3]
