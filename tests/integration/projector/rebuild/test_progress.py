"""What another process sees of a rebuild: its phase, how far and how fast it is, what each read model costs."""

from typing import Any

import pytest

from betting.projections import PROJECTIONS
from ledger.runtime.measuring.capacity import metered
from ledger.store import parallel_scan, resumable_job
from ledger.store.event_store import EventStore
from projector.components import Components
from projector.rebuild import rebuild
from projector.rebuild.build_lease import Build, BuildStore
from projector.rebuild.rebuild import Rebuild
from projector.status.status import read_status
from projector.verification.reading_processes import Processes
from tests.support.accounts import deposit
from tests.support.aws.tables import made_bridge
from tests.support.waiting import until

pytestmark = pytest.mark.integration

NAMES = [each.name for each in PROJECTIONS]


class CrashedError(Exception):
    """What stands for a kill."""


class Watched:
    """Looks at the control rows when so many events are read; ``dies`` then."""

    def __init__(self, builds: BuildStore, read: int, *, dies: bool = False) -> None:
        self.seen: list[Build] = []
        self.began_with = 0
        self._builds, self._read, self._dies = builds, read, dies

    def begin(self, work: str, phase: str, total: int, done: int) -> None:
        self.began_with = done

    def advance(self, work: str, done: int) -> None:
        if done < self._read or self.seen:
            return

        def recorded() -> list[Build] | None:
            builds = [build for name in NAMES if (build := self._builds.read(name)) is not None]
            return builds if all(build.run is not None and build.run.items for build in builds) else None

        self.seen = until(recorded)
        if self._dies:
            raise CrashedError

    def report(self, text: str) -> None: ...


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rebuild, "SEEN_BY_ALL", 0.05)
    monkeypatch.setattr(resumable_job, "STALE", 1.5)
    monkeypatch.setattr(resumable_job, "_LOOK", 0.1)
    monkeypatch.setattr(resumable_job, "BEAT", 0.2)
    monkeypatch.setattr(parallel_scan, "PAGE", 10)


def test_one_that_was_killed_and_resumed_has_the_pace_and_cost_of_this_run(
    components: Components, store: EventStore
) -> None:
    made_bridge(components.clients, components.names, 1)
    for number in range(20):
        deposit(store, f"acc-{number}", 10)
    builds = BuildStore(components.clients.dynamodb, components.names.projections)

    def run(progress: Any) -> None:
        with metered(components.clients.dynamodb) as units:
            Rebuild(components, progress, Processes(units=units)).run(PROJECTIONS, segments=1)
        assert units.total.written > 0

    first = Watched(builds, 100, dies=True)
    with pytest.raises(CrashedError):
        run(first)
    found = read_status(components, PROJECTIONS, mode="native", watch=0.1).projections
    for each, build in zip(found, first.seen, strict=True):
        assert each.build is not None
        assert (each.phase, each.building, each.build.total) == ("reading", 2, 200)
        assert (each.build.runs, each.build.rate, each.build.seconds_left) == (False, None, None)
        assert each.build.read >= build.read

    second = Watched(builds, 150)
    run(second)
    for build in second.seen:
        assert build.run is not None
        assert build.run.units is not None
        assert build.run.items == build.read - second.began_with, "what the dead one has read is not this one's"
    # Both read models share the one reading, and each has what was read of its own rows. How much is written by now, no
    # table promises: a row is, once the scan has shown all of its aggregate.
    reads = [build.run.units.read for build in second.seen if build.run and build.run.units]
    assert min(reads) > 0
    assert [each.build for each in read_status(components, PROJECTIONS, mode="native", watch=0.1).projections] == [
        None,
        None,
    ]
