"""What looking costs in calls to AWS: one reading serves all who look, and what has not changed is not read again."""

import asyncio

import httpx
import pytest

from console.folds import history as histories
from console.http import fragments
from console.http.app import build_console
from console.http.site import Site
from tests.integration.console.conftest import ORIGIN, MakeSite, browser
from tests.integration.console.test_access import GUARDED, LOOKS, OPERATES, signed_in
from tests.support.accounts import deposit
from tests.support.waiting import PATIENCE

pytestmark = pytest.mark.integration

LIVE = "/live/aggregates/account/alice"


@pytest.fixture
def site(make_site: MakeSite) -> Site:
    """A ledger with three deposits of alice's."""
    site = make_site()
    deposit(site.components.store, "alice", 3)
    return site


def calls(site: Site, *operations: str) -> float:
    """Of some operations, or of all."""
    (family,) = site.counters.aws_calls.collect()
    samples = (each for each in family.samples if each.name.endswith("_total"))
    return sum(each.value for each in samples if not operations or each.labels["operation"] in operations)


async def test_one_reading_serves_every_tab(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fragments, "PERIOD", 3600.0)
    async with browser(site) as client:
        alone = (await client.get(LIVE)).text
        before = calls(site)
        assert before > 0
        answers = await asyncio.gather(*(client.get(LIVE) for _ in range(10)))
        assert {each.text for each in answers} == {alone}
        assert calls(site) == before


async def test_what_one_may_see_is_no_part_of_anybody_elses(
    make_site: MakeSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fragments, "PERIOD", 3600.0)
    site = make_site(**GUARDED)
    site.components.clients.dynamodb.put_item(
        TableName=site.components.names.bridge,
        Item={"id": {"S": "hold"}, "by": {"S": "ann"}, "reason": {"S": "t"}, "since": {"S": "2026-01-01T00:00:00Z"}},
    )
    # One console, and so one place where parts are kept.
    console = httpx.ASGITransport(build_console(site))
    for token, acts in ((OPERATES, True), (LOOKS, False)):
        async with httpx.AsyncClient(transport=console, base_url=ORIGIN) as client:
            await signed_in(client, token)
            part = await client.get("/live/bridge")
            assert ("held by ann" in part.text, "/operations/lift" in part.text) == (True, acts)


async def test_a_history_that_has_not_changed_takes_one_query(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(histories, "_FRESH", 0.0)
    kind = site.components.aggregates.get("account")
    assert kind is not None
    site.histories.of(kind, "alice", wait=PATIENCE)
    before = calls(site)
    sight = site.histories.of(kind, "alice", wait=PATIENCE).sight
    assert (sight.version, calls(site) - before) == (3, 1)
    deposit(site.components.store, "alice")
    assert site.histories.of(kind, "alice", wait=PATIENCE).sight.version == 4
