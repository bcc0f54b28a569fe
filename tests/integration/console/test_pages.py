"""Every screen over a real ledger: what it says is so, it asks nobody else, and what is done is done and recorded."""

import asyncio
import re
import threading
from collections.abc import Iterator
from decimal import Decimal
from html.parser import HTMLParser
from typing import Any

import httpx
import pytest

from betting.events import BetPlaced
from console.http.pages import aggregates
from console.http.site import SCREENS, Site
from ledger.store.event_store import EventStore
from ledger.store.stored_event import StoredEvent
from tests.integration.console.conftest import MakeSite, browser
from tests.integration.console.test_access import csrf
from tests.integration.projector.conftest import deliver
from tests.support.accounts import append, deposit, poison
from tests.support.waiting import PATIENCE

pytestmark = pytest.mark.integration


class References(HTMLParser):
    """What a page refers to, and what it would run or style inline."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.inline: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("href", "src", "action", "data-live", "formaction"):
                self.addresses.append(value or "")
            if name == "style" or name.startswith("on"):
                self.inline.append(f"{tag} {name}")
        if tag == "style" or (tag == "script" and "src" not in dict(attrs)):
            self.inline.append(tag)


@pytest.fixture
def site(make_site: MakeSite) -> Site:
    """A ledger with three deposits of alice's, and mallory, whose second event cannot be read."""
    site = make_site()
    components = site.components
    store = EventStore(components.clients.dynamodb, components.names.events)
    handler = components.batch_handler()
    deliver(handler, components, *deposit(store, "alice", 3))
    first = deposit(store, "mallory")
    deliver(handler, components, *first, poison(components.clients.dynamodb, components.names.events, first[0]))
    return site


async def finished(client: httpx.AsyncClient, answer: httpx.Response) -> str:
    """What the run of an operation says, once it has ended."""
    assert answer.status_code == 303, answer.text
    async with asyncio.timeout(PATIENCE):
        while "Under way" in (page := (await client.get(answer.headers["location"])).text):  # noqa: ASYNC110
            await asyncio.sleep(0.1)  # another process ends
    return page


async def test_every_screen_is_whole_and_refers_to_nothing_but_the_console(site: Site) -> None:
    addresses = [path for path, _ in SCREENS]
    seen: set[str] = set()
    async with browser(site) as client:
        while addresses:
            address = addresses.pop()
            if (place := re.sub(r"\d+|alice|mallory", "_", address)) in seen:
                continue
            seen.add(place)
            page = await client.get(address)
            assert page.status_code in (200, 303), f"{address}: {page.text}"
            assert page.headers["content-security-policy"].startswith("default-src 'self';")
            if not page.headers.get("content-type", "").startswith("text/html"):
                continue
            found = References(page.text)
            assert found.inline == [], address
            for each in filter(None, found.addresses):
                assert re.match(r"/(?!/)|#|\?", each), f"{address} refers to {each}"
            addresses += [each.replace("&amp;", "&") for each in found.addresses if each.startswith("/")]
        assert len(seen) > 40


async def test_an_aggregate_is_shown_by_events_and_by_what_readers_get(site: Site) -> None:
    async with browser(site) as client:
        page = (await client.get("/aggregates/account/alice")).text
        assert page.count("balance: 3.00") == 2
        assert 'class="steps"' in page
        halted = (await client.get("/aggregates/account/mallory")).text
        assert "Halted in balance-summary at event 2" in halted
        assert "1 behind" in halted
        assert (await client.get("/aggregates/account/nobody")).status_code == 404
        assert (await client.get("/aggregates/horse/alice")).status_code == 404
        found = await client.get("/aggregates", params={"q": "alice"})
        assert found.headers["location"] == "/aggregates/account/alice"
        assert (await client.get("/aggregates", params={"q": "<script>"})).status_code == 404
        only_halted = (await client.get("/aggregates", params={"halted": "yes"})).text
        assert "account mallory" in only_halted
        assert "account alice" not in only_halted


async def test_a_page_comes_before_its_history_is_read(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    store, go = site.components.store, threading.Event()
    read = store.read

    def held(*asked: Any, **bounds: Any) -> Iterator[StoredEvent]:
        assert go.wait(PATIENCE)
        return read(*asked, **bounds)

    monkeypatch.setattr(store, "read", held)
    monkeypatch.setattr(aggregates, "WAIT", 0)
    async with browser(site) as client:
        page = (await client.get("/aggregates/account/alice")).text
        assert "Reading the history: 0 of 3 events" in page
        assert page.count("balance: 3.00") == 1, "by its readers"
        assert page.count("/aggregates/account/alice/steps/") == 3
        go.set()
        monkeypatch.setattr(aggregates, "WAIT", PATIENCE)
        page = (await client.get("/aggregates/account/alice")).text
        assert "Reading the history" not in page
        assert page.count("balance: 3.00") == 2


async def test_a_step_shows_both_sides_of_an_event_by_fold_and_witness(site: Site) -> None:
    async with browser(site) as client:
        page = (await client.get("/aggregates/account/alice/steps/2")).text
        row = re.compile(r'<th scope="row">balance</th>\s*<td class="number">1.00</td>\s*<td class="number">2.00')
        assert len(row.findall(page)) == 3
        assert "fold and witness differ" not in page
        bad = (await client.get("/aggregates/account/mallory/steps/2")).text
        assert "cannot be applied" in bad
        beyond = await client.get("/aggregates/account/alice/steps/4")
        assert (beyond.status_code, "has the events 1 to 3" in beyond.text) == (404, True)
        for asked, to in (
            ({"version": "99"}, 3),
            ({"version": "0"}, 1),
            ({"at": "2000-01-01T00:00:00"}, 1),
            ({"at": "2100-01-01T00:00:00"}, 3),
        ):
            led = await client.get("/aggregates/account/alice/steps", params=asked)
            assert led.headers["location"] == f"/aggregates/account/alice/steps/{to}"
        assert (await client.get("/aggregates/account/alice/steps", params={"at": "soon"})).status_code == 400


async def test_of_many_values_those_that_changed_are_shown(site: Site) -> None:
    bets = [BetPlaced(bet_id=f"bet-{number:02d}", stake=Decimal("0.01"), currency="EUR") for number in range(90)]
    append(site.components.store, "alice", bets)
    async with browser(site) as client:
        page = (await client.get("/aggregates/account/alice/steps/93")).text
        assert re.search(r'<th scope="row">openBets.bet-89</th>\s*<td class="number"></td>', page)
        assert "more that it did not change" in page
        assert "openBets.bet-00<" in page
        assert "openBets.bet-40<" not in page


async def test_a_read_model_that_cannot_be_read_takes_no_other_one_along(site: Site) -> None:
    table = site.components.models.projections["daily-activity"].table(site.components.names.profile, 1)
    site.components.clients.dynamodb.delete_table(TableName=table)
    async with browser(site) as client:
        page = await client.get("/aggregates/account/alice")
        assert (page.status_code, page.text.count("balance: 3.00")) == (200, 2)
        assert "`kinfold bridge ensure` creates what is missing" in page.text


async def test_what_is_done_is_the_command_and_is_recorded_as_done_by_whoever_is_signed_in(site: Site) -> None:
    async with browser(site) as client:
        form = await client.get("/operations/skip", params={"letterId": "balance-summary~mallory~2", "reason": "t"})
        assert "kinfold projector dead-letters skip --reason=t -- &#39;balance-summary~mallory~2&#39;" in form.text
        given = {"letterId": "balance-summary~mallory~2", "reason": "ticket 4711", "csrf": csrf(form.text)}
        unsure = await client.post("/operations/skip", data=given)
        assert (unsure.status_code, "say in the form that you are sure" in unsure.text) == (400, True)
        tried = await finished(client, await client.post("/operations/skip", data={**given, "dryRun": "yes"}))
        assert "would be skipped" in tried
        assert site.components.letters.get("balance-summary~mallory~2").state == "open"  # type: ignore[union-attr]
        done = await finished(client, await client.post("/operations/skip", data={**given, "sure": "yes"}))
        assert "Done" in done, done
        head = site.components.models.active(site.components.models.projections["balance-summary"]).get("mallory")
        assert head is not None
        assert (head.version, head.halted) == (2, None)
        (action,) = site.components.audit.recent()
        assert (action.action, action.by, action.exit_code) == ("projector dead-letters skip", "anybody@console", 0)
        # The fold that is shown skips it, too.
        assert "cannot be applied" not in (await client.get("/aggregates/account/mallory")).text.split("as readers")[1]


async def test_an_event_that_was_skipped_elsewhere_is_skipped_here(site: Site, make_site: MakeSite) -> None:
    failing = "cannot be applied"
    async with browser(site) as client:
        assert failing in (await client.get("/aggregates/account/mallory/steps/2")).text
        elsewhere = make_site().components
        for letter in ("balance-summary~mallory~2", "daily-activity~mallory~2"):
            elsewhere.redrive.skip(letter, elsewhere.new_projectors, by="ann", why="test")
        assert failing not in (await client.get("/aggregates/account/mallory/steps/2")).text


async def test_an_operation_can_be_interrupted_and_so_many_run_at_once(site: Site) -> None:
    async with browser(site) as client:
        form = csrf((await client.get("/operations/verify")).text)
        asked = (client.post("/operations/verify", data={"csrf": form}) for _ in range(6))
        answers = await asyncio.gather(*asked)
        runs = [each for each in answers if each.status_code == 303]
        refused = [each for each in answers if each.status_code == 409]
        assert (len(runs), len(refused)) == (4, 2)
        assert all("4 operations are under way" in each.text for each in refused)
        for run in runs:
            await client.post(f"{run.headers['location']}/interrupt", data={"csrf": form})
        for run in runs:
            await finished(client, run)
        assert not any(job.runs for job in site.jobs.all)
