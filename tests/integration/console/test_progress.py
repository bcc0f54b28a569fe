"""A rebuild and a backfill of another process, as the pages show them: under way, and once they are dead."""

import asyncio
import re
import threading
from collections.abc import Callable

import httpx
import pytest

from console.http.site import Site
from ledger.runtime.measuring.capacity import Units
from ledger.store import resumable_job
from ledger.store.parallel_scan import Cursor
from ledger.store.resumable_job import JobHeartbeat
from projector.rebuild.build_lease import BuildStore
from stream_bridge.backfill.progress import BackfillJob, BackfillStore
from tests.integration.console.conftest import MakeSite, browser
from tests.support.waiting import PATIENCE

pytestmark = pytest.mark.integration


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resumable_job, "BEAT", 0.1)
    monkeypatch.setattr(resumable_job, "STALE", 3.0)


@pytest.fixture
def site(make_site: MakeSite) -> Site:
    return make_site()


async def shown(client: httpx.AsyncClient, address: str, holds: Callable[[str], bool]) -> str:
    """The page once it is so, without its tags."""
    async with asyncio.timeout(PATIENCE):
        while not holds(text := _plain((await client.get(address)).text)):  # noqa: ASYNC110
            await asyncio.sleep(0.2)  # another process beats
    return text


def _plain(page: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", page))


async def test_a_rebuild_shows_its_pace_and_cost_while_it_runs_and_no_rate_once_it_is_dead(site: Site) -> None:
    components = site.components
    builds = BuildStore(components.clients.dynamodb, components.names.projections)
    build = builds.start("balance-summary", 2, "me", active=1, segments=2)
    async with browser(site) as client:
        with JobHeartbeat(builds, [build], threading.Event()) as heartbeat:
            text = await shown(client, "/live/read-models", lambda text: "is under way" in text)
            assert "Phase joining" in text
            assert "Events a second not known Time left not known Read units, this run not known" in text
            heartbeat.save(build.name, phase="reading")
            heartbeat.begin_reading(build.name, 12_000)
            heartbeat.count(build.name, 3_000, Units(1_500, 42))
            heartbeat.advance(build.name, 1, Cursor(items=3_000))
            text = await shown(client, "/read-models", lambda text: "3,000 of about 12,000" in text)
            assert "Phase reading" in text
            assert re.search(r"Events a second [\d,.]+ Time left \d+:\d\d:\d\d ", text), text
            assert "Read units, this run 1,500 Write units, this run 42" in text
        text = await shown(client, "/live/read-models", lambda text: "was interrupted" in text)
        assert "3,000 of about 12,000 Events a second not known Time left not known" in text


async def test_a_backfill_shows_its_pace_and_cost_while_it_runs_and_no_rate_once_it_is_dead(site: Site) -> None:
    components = site.components
    jobs = BackfillStore(components.clients.dynamodb, components.names.bridge)
    job = BackfillJob(name="all accounts", token="me", cursors=(Cursor(),))
    jobs.start(job)
    async with browser(site) as client:
        with JobHeartbeat(jobs, [job], threading.Event()) as heartbeat:
            heartbeat.begin_reading(job.name, 2_000)
            heartbeat.count(job.name, 500, Units(250))
            heartbeat.advance(job.name, 0, Cursor(items=500), published=490)
            text = await shown(client, "/bridge", lambda text: "is under way" in text)
            assert re.search(r"500 of about 2,000 490 [\d,.]+ \d+:\d\d:\d\d 250 ", text), text
        text = await shown(client, "/live/bridge", lambda text: "was interrupted" in text)
        assert "500 of about 2,000 490 not known not known 250" in text
