"""Rebuild within one process: resumed where it was, fenced, given up; halts and skips kept; unverified never shown."""

import contextlib
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from msgspec import structs

from betting.projections import PROJECTIONS
from betting.projections.balance_summary import BALANCE_SUMMARY
from betting.projections.daily_activity import DAILY_ACTIVITY
from ledger.runtime.aws import Clients
from ledger.store import parallel_scan, resumable_job
from ledger.store.errors import JobLostError, JobRunningError
from ledger.store.event_store import EventStore
from ledger.store.tables import Names
from projector.components import Components, build_components
from projector.dead_letters.letters import DeadLetter, Origin
from projector.engine.control_rows import Control, ControlView, Generations
from projector.engine.read_model import ReadModel
from projector.rebuild import generations, rebuild
from projector.rebuild.build_lease import BuildStore
from projector.rebuild.generations import GenerationInUseError, GenerationTables
from projector.rebuild.rebuild import SEEN_BY_ALL, Rebuild, UnverifiedError
from projector.settings import ProjectorSettings
from tests.support.accounts import deposit, poison

pytestmark = pytest.mark.integration


class CrashError(Exception):
    """Stands for SIGKILL: what was recorded before it is all that is left."""


class Reported:
    """What a rebuild says, and a crash at a chosen step."""

    def __init__(self, crash_at: tuple[str, int] | None = None) -> None:
        self.phases: list[tuple[str, str, int, int]] = []
        self.lines: list[str] = []
        self._crash_at = crash_at
        self._pages = 0
        self._lock = threading.Lock()

    def begin(self, work: str, phase: str, total: int, done: int) -> None:
        self.phases.append((work, phase, total, done))

    def advance(self, work: str, done: int) -> None:
        with self._lock:
            self._pages += 1
            crashes = self._crash_at and (self.phases[-1][1], self._pages) == self._crash_at
        if crashes:
            raise CrashError

    def report(self, text: str) -> None:
        self.lines.append(text)


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """No worker and no reader runs in these tests, so nobody has to be waited for; pages are small."""
    for module in (rebuild, generations):
        monkeypatch.setattr(module, "SEEN_BY_ALL", 0.05)
    monkeypatch.setattr(resumable_job, "STALE", 1.5)
    monkeypatch.setattr(resumable_job, "_LOOK", 0.1)
    monkeypatch.setattr(resumable_job, "BEAT", 0.2)
    monkeypatch.setattr(parallel_scan, "PAGE", 10)


@pytest.fixture
def control(components: Components) -> BuildStore:
    return BuildStore(components.clients.dynamodb, components.names.projections)


def rows(components: Components, model: ReadModel[Any]) -> dict[tuple[str, str], Any]:
    """Every row of a read model."""
    found = [model.row(item) for item in components.clients.dynamodb.scan(TableName=model.table)["Items"]]
    return {(row.aggregate_id, row.part): row for row in found}


def active(components: Components, projection: Any = BALANCE_SUMMARY) -> int:
    return components.generations.read(projection.name).active


def test_every_projection_gets_a_new_generation_that_agrees(components: Components, store: EventStore) -> None:
    for number in range(12):
        deposit(store, f"acc-{number}", number + 1)
    progress = Reported()
    rebuilt = Rebuild(components, progress).run(PROJECTIONS, segments=3)
    assert [(each.projection, each.generation, each.replaced) for each in rebuilt] == [
        ("balance-summary", 2, 1),
        ("daily-activity", 2, 1),
    ]
    assert {(each.aggregates, each.events, each.halted) for each in rebuilt} == {(12, 78, 0)}
    assert [each.brought_up for each in rebuilt] == [0, 0], "the scan had left nothing to the verification"
    for projection in PROJECTIONS:
        assert components.generations.read(projection.name) == Control(2, frozenset({2}))
    found = rows(components, components.models.model(BALANCE_SUMMARY, 2))
    assert {row.aggregate_id: row.state.balance for row in found.values()} == {
        f"acc-{number}": Decimal(number + 1) for number in range(12)
    }
    days = rows(components, components.models.model(DAILY_ACTIVITY, 2)).values()
    assert sum(row.state.count for row in days if row.state) == 78


@pytest.mark.parametrize("crash_at", [("reading", 1), ("reading", 6), ("reading", 9)])
def test_a_rebuild_that_was_killed_goes_on_where_it_was(
    crash_at: tuple[str, int], components: Components, store: EventStore, control: BuildStore
) -> None:
    for number in range(10):
        deposit(store, f"acc-{number}", 8)
    with pytest.raises(CrashError):
        Rebuild(components, Reported(crash_at)).run([BALANCE_SUMMARY], segments=2)
    assert active(components) == 1
    progress = Reported()
    (rebuilt,) = Rebuild(components, progress).run([BALANCE_SUMMARY], segments=7)
    assert rebuilt.generation == 2
    assert rebuilt.aggregates == 10
    assert {row.version for row in rows(components, components.models.model(BALANCE_SUMMARY, 2)).values()} == {8}
    assert any("resuming generation 2" in line for line in progress.lines)


def test_it_waits_until_nobody_can_hold_an_older_control_row(
    components: Components,
    store: EventStore,
    projector_settings: ProjectorSettings,
    clients: Clients,
    executor: ThreadPoolExecutor,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A worker and a reader that have read the control rows just before each change, and trust them for as long."""
    monkeypatch.setattr(rebuild, "SEEN_BY_ALL", SEEN_BY_ALL)
    deposit(store, "alice", 1)
    worker, reader = (build_components(projector_settings, clients, executor).models for _ in range(2))
    seen: dict[str, list[str]] = {}
    retire = BuildStore.retire

    def retiring(builds: BuildStore, projection: str, generation: int) -> bool:
        seen["read"] = [reader.active(BALANCE_SUMMARY).table]
        return retire(builds, projection, generation)

    class Watched(Reported):
        def begin(self, work: str, phase: str, total: int, done: int) -> None:
            seen["fed"] = [model.table for model in worker.fed() if model.projection is BALANCE_SUMMARY]

        def advance(self, work: str, done: int) -> None:
            reader.controls()

    monkeypatch.setattr(BuildStore, "retire", retiring)
    worker.controls()
    Rebuild(components, Watched()).run([BALANCE_SUMMARY], segments=1)
    tables = [BALANCE_SUMMARY.table(components.names.profile, generation) for generation in (2, 1)]
    assert seen["fed"] == tables, "both are fed when the scan begins, the new one first: no reader sees one go back"
    assert seen["read"] == tables[:1], "nobody reads the old one when it is no longer fed"


def test_what_was_recorded_is_not_scanned_again(components: Components, store: EventStore, control: BuildStore) -> None:
    for number in range(10):
        deposit(store, f"acc-{number}", 10)

    class Slow(Reported):
        def advance(self, work: str, done: int) -> None:
            time.sleep(0.15)
            super().advance(work, done)

    with pytest.raises(CrashError):
        Rebuild(components, Slow(("reading", 7))).run([BALANCE_SUMMARY], segments=1)
    progress = Reported()
    Rebuild(components, progress).run([BALANCE_SUMMARY], segments=1)
    done = progress.phases[0][3]
    assert 30 <= done <= 70, "all pages but those since the last beat"


def test_a_second_rebuild_is_refused_while_the_first_one_lives(components: Components, store: EventStore) -> None:
    deposit(store, "alice", 1)
    refused: list[BaseException] = []

    class Overlapping(Reported):
        def begin(self, work: str, phase: str, total: int, done: int) -> None:
            if phase == "reading":
                try:
                    Rebuild(components, Reported()).run([BALANCE_SUMMARY], segments=2)
                except JobRunningError as error:
                    refused.append(error)

    Rebuild(components, Overlapping()).run([BALANCE_SUMMARY], segments=2)
    assert len(refused) == 1
    assert "is being built by another process" in str(refused[0])
    assert active(components) == 2


def test_a_builder_that_stood_still_and_was_taken_over_cannot_flip(
    components: Components, store: EventStore, control: BuildStore
) -> None:
    deposit(store, "alice", 1)

    class TakenOver(Reported):
        def begin(self, work: str, phase: str, total: int, done: int) -> None:
            if phase == "reading":
                found = control.read(work)
                while found is not None and found.token != "somebody-else":
                    with contextlib.suppress(JobRunningError):  # a beat may come in between
                        control.take_over(found, "somebody-else")
                    found = control.read(work)

    with pytest.raises(JobLostError):
        Rebuild(components, TakenOver()).run([BALANCE_SUMMARY], segments=2)
    assert active(components) == 1


def test_only_the_builder_itself_can_record_progress_or_flip(components: Components, control: BuildStore) -> None:
    build = control.start(BALANCE_SUMMARY.name, 2, "me", active=1, segments=1)
    assert control.start(BALANCE_SUMMARY.name, 2, "me", active=1, segments=1) == build, "an answer that was lost"
    with pytest.raises(JobRunningError):
        control.start(BALANCE_SUMMARY.name, 2, "other", active=1, segments=1)
    taken = control.take_over(build, "other")
    for forbidden in (control.save, control.flip):
        with pytest.raises(JobLostError):
            forbidden(build)
    assert active(components) == 1
    control.flip(taken)
    control.flip(taken)
    assert active(components) == 2
    with pytest.raises(JobLostError):
        control.save(taken)


def test_what_a_later_rebuild_has_just_replaced_is_not_retired_by_an_earlier_one(
    components: Components, store: EventStore, control: BuildStore
) -> None:
    """Readers may see it for a moment yet, and the later rebuild waits for them by itself."""
    deposit(store, "alice", 1)

    class Overtaken(Reported):
        def report(self, text: str) -> None:
            if "every reader has moved" in text:
                control.flip(control.start(BALANCE_SUMMARY.name, 3, "later", active=2, segments=1))

    Rebuild(components, Overtaken()).run([BALANCE_SUMMARY], segments=1)
    assert components.generations.read(BALANCE_SUMMARY.name) == Control(3, frozenset({2, 3}))


@pytest.fixture
def tables(components: Components) -> GenerationTables:
    return GenerationTables(components.clients.dynamodb, components.names)


def test_abort_ends_a_running_build_and_deletes_what_it_made(
    components: Components, store: EventStore, clients: Clients, tables: GenerationTables
) -> None:
    deposit(store, "alice", 1)

    class Aborted(Reported):
        def begin(self, work: str, phase: str, total: int, done: int) -> None:
            assert tables.abort([BALANCE_SUMMARY], print) == [("balance-summary", 2)]

    with pytest.raises(JobLostError, match="given up"):
        Rebuild(components, Aborted()).run([BALANCE_SUMMARY], segments=2)
    assert components.generations.read(BALANCE_SUMMARY.name) == Control(1, frozenset({1}))
    assert BALANCE_SUMMARY.table(components.names.profile, 2) not in clients.dynamodb.list_tables()["TableNames"]
    assert tables.abort(PROJECTIONS, print) == []
    (rebuilt,) = Rebuild(components, Reported()).run([BALANCE_SUMMARY], segments=2)
    assert rebuilt.generation == 3, "a number is never used again"


def test_old_generations_are_listed_and_dropped_and_the_active_one_is_not(
    components: Components, store: EventStore, tables: GenerationTables
) -> None:
    deposit(store, "alice", 1)
    Rebuild(components, Reported()).run([BALANCE_SUMMARY], segments=1)
    listed = [table for each in PROJECTIONS for table in tables.list(each)]
    assert [(each.projection, each.generation, each.standing) for each in listed] == [
        ("balance-summary", 1, "old"),
        ("balance-summary", 2, "active"),
        ("daily-activity", 1, "active"),
    ]
    with pytest.raises(GenerationInUseError):
        tables.drop(BALANCE_SUMMARY, 2, print)
    tables.drop(BALANCE_SUMMARY, 1, print)
    tables.drop(BALANCE_SUMMARY, 1, print)
    listed = tables.list(BALANCE_SUMMARY)
    assert [each.generation for each in listed] == [2]


def test_a_generation_that_does_not_agree_is_never_shown_however_often_it_is_tried(
    components: Components, store: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    deposit(store, "alice", 2)
    wrong = replace(BALANCE_SUMMARY, fold=lambda *given: structs.replace(BALANCE_SUMMARY.fold(*given), currency="USD"))
    components.models.projections[BALANCE_SUMMARY.name] = wrong
    for _ in range(2):
        with pytest.raises(UnverifiedError, match="aggregate alice: currency is USD, should be EUR"):
            Rebuild(components, Reported()).run([wrong], segments=1)
    assert active(components) == 1


def test_halts_and_skips_are_reproduced_and_are_no_storm(
    clients: Clients,
    ledger_tables: Names,
    components: Components,
    store: EventStore,
    summaries: ReadModel[Any],
    projector_settings: ProjectorSettings,
    executor: ThreadPoolExecutor,
) -> None:
    feeder = components.feeder(summaries, cache_size=10)
    for account_id in ("halted", "skipped"):
        events = deposit(store, account_id, 2)
        feeder.feed([*events, poison(clients.dynamodb, ledger_tables.events, events[-1])])
    components.redrive.skip("balance-summary~skipped~3", components.projectors.fed, by="test", why="test")
    before = components.letters.get("balance-summary~halted~3")
    strict = projector_settings.model_copy(update={"storm_limit": 0})
    (rebuilt,) = Rebuild(build_components(strict, clients, executor), Reported()).run([BALANCE_SUMMARY], segments=2)
    assert (rebuilt.aggregates, rebuilt.halted) == (2, 1)
    found = rows(components, components.models.model(BALANCE_SUMMARY, 2))
    assert {(row.aggregate_id, row.version, row.halted is not None) for row in found.values()} == {
        ("halted", 2, True),
        ("skipped", 3, False),
    }
    after = components.letters.get("balance-summary~halted~3")
    assert before is not None
    assert after is not None
    assert (after.letter, after.attempts) == (before.letter, before.attempts + 1)


def tamper(components: Components, *numbers: int) -> None:
    """Halt alice's account for the sake of records that are no events, as a worker does."""
    for number in numbers:
        letter = DeadLetter(f"a MODIFY of event {number}", Origin("stream", "shard", "7"), b"", None, "alice", number)
        components.aggregate_halts.store_and_halt(letter, components.new_projectors(), overtaken=False)


def test_an_account_that_is_halted_for_a_records_sake_stays_halted(components: Components, store: EventStore) -> None:
    events = deposit(store, "alice", 2)
    for target in components.projectors.fed():
        target.apply(events)
    tamper(components, 1)
    (rebuilt,) = Rebuild(components, Reported()).run([BALANCE_SUMMARY], segments=1)
    head = components.models.model(BALANCE_SUMMARY, 2).get("alice")
    assert head is not None
    assert head.version == 2
    assert head.halted is not None
    assert head.halted.dead_letter == "record~alice~1"
    assert rebuilt.halted == 1


@pytest.mark.parametrize(("before", "meanwhile"), [((), (1,)), ((1,), (1, 2))], ids=["meanwhile", "twice"])
def test_an_account_that_is_halted_before_the_scan_meets_it_is_shown_no_further_behind(
    before: tuple[int, ...],
    meanwhile: tuple[int, ...],
    components: Components,
    store: EventStore,
    projector_settings: ProjectorSettings,
    clients: Clients,
    executor: ThreadPoolExecutor,
) -> None:
    """The worker halts it in both generations; nobody may see its version go back at the flip."""
    components.feeder(components.models.model(BALANCE_SUMMARY, 1), cache_size=10).feed(deposit(store, "alice", 2))
    tamper(components, *before)

    class Tampered(Reported):
        def begin(self, work: str, phase: str, total: int, done: int) -> None:
            if phase == "reading":
                tamper(build_components(projector_settings, clients, executor), *meanwhile)

    Rebuild(components, Tampered()).run([BALANCE_SUMMARY], segments=1)
    models = [components.models.model(BALANCE_SUMMARY, generation) for generation in (1, 2)]
    old, new = (head for model in models if (head := model.get("alice")) is not None)
    assert (new.version, old.version) == (2, 2)
    assert new.halted == old.halted


def test_a_view_of_the_control_rows_never_goes_back(components: Components) -> None:
    """A slow read that began first must not replace what a faster, later one found."""
    now = [0.0]
    reads: list[threading.Event] = [threading.Event(), threading.Event()]
    answers = iter([1, 2])

    class Slow(Generations):
        def read(self, projection: str) -> Control:
            number = next(answers)
            if number == 1:
                reads[0].set()
                reads[1].wait(5)
            return Control(number, frozenset({number}))

    view = ControlView(Slow(components.clients.dynamodb, components.names.projections), ["p"], now=lambda: now[0])
    slow = threading.Thread(target=view.current)
    slow.start()
    reads[0].wait(5)
    now[0] = 1.0
    assert view.current()["p"].active == 2
    reads[1].set()
    slow.join()
    assert view.current()["p"].active == 2
