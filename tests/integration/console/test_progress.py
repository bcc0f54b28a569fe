"""A rebuild and a backfill of another process, as the pages show them: under way, and once they are dead."""

import asyncio
import re
import threading
import time

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


async def shown(client: httpx.AsyncClient, address: str, *patterns: str) -> str:
    """The page, without its tags, once it shows all of these: what a beat brings comes later than what is saved."""
    deadline = time.monotonic() + PATIENCE
    while True:
        text = _plain((await client.get(address)).text)
        if missing := [each for each in patterns if not re.search(each, text)]:
            assert time.monotonic() < deadline, f"{missing} is not shown in: {text}"
            await asyncio.sleep(0.2)  # another process beats
            continue
        return text


def _plain(page: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", page))


async def test_a_rebuild_shows_its_pace_and_cost_while_it_runs_and_no_rate_once_it_is_dead(site: Site) -> None:
    components = site.components
    builds = BuildStore(components.clients.dynamodb, components.names.projections)
    build = builds.start("balance-summary", 2, "me", active=1, segments=2)
    async with browser(site) as client:
        with JobHeartbeat(builds, [build], threading.Event()) as heartbeat:
            text = await shown(client, "/live/read-models", "is under way", "Phase joining")
            assert "Events a second not known Time left not known Read units, this run not known" in text
            heartbeat.save(build.name, phase="reading")
            heartbeat.begin_reading(build.name, 12_000)
            heartbeat.advance(build.name, 3_000, Units(1_500, 42), {1: Cursor(items=3_000)})
            pace = r"Events a second [\d,.]+ Time left \d+:\d\d:\d\d "
            cost = "Read units, this run 1,500 Write units, this run 42"
            await shown(client, "/read-models", "Phase reading", "3,000 of about 12,000", pace, cost)
        text = await shown(client, "/live/read-models", "was interrupted")
        assert "3,000 of about 12,000 Events a second not known Time left not known" in text


async def test_a_backfill_shows_its_pace_and_cost_while_it_runs_and_no_rate_once_it_is_dead(site: Site) -> None:
    components = site.components
    jobs = BackfillStore(components.clients.dynamodb, components.names.bridge)
    job = BackfillJob(name="all accounts", token="me", cursors=(Cursor(),))
    jobs.start(job)
    async with browser(site) as client:
        with JobHeartbeat(jobs, [job], threading.Event()) as heartbeat:
            heartbeat.begin_reading(job.name, 2_000)
            heartbeat.advance(job.name, 500, Units(250), {0: Cursor(items=500)}, published=490)
            await shown(client, "/bridge", "is under way", r"500 of about 2,000 490 [\d,.]+ \d+:\d\d:\d\d 250 ")
        text = await shown(client, "/live/bridge", "was interrupted")
        assert "500 of about 2,000 490 not known not known 250" in text
