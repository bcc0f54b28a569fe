"""Rebuild and verify with AWS answered from memory: what an event costs, and how often each is read."""

import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import orjson

from bench.contest.workloads import skewed
from betting.projections import PROJECTIONS
from kinfold.local.environment import service_clients
from ledger.runtime.serving.garbage_collection import collect_seldom
from ledger.store.parallel_scan import Cursor, RetryUntilStopped
from ledger.store.tables import store_specs
from projector.components import Components, build_components
from projector.engine.provisioning import control_specs, prepare
from projector.rebuild.builder import ChildBuilders
from projector.rebuild.rebuild import Rebuild
from projector.settings import ProjectorSettings
from projector.verification.reading_processes import Processes, read_in_processes
from projector.verification.verification import check_everything, verification_of
from simulation.aws.account import Account

#: Nothing listens here: what is not answered from memory fails.
_NOWHERE: Final = "http://127.0.0.1:9"
_PROFILE: Final = "test-bench"
_SEGMENTS: Final = 4
_TIMEOUT: Final = 60.0


class _Silence:
    def begin(self, work: str, phase: str, total: int, done: int) -> None:
        """See `ProgressReport`."""

    def advance(self, work: str, done: int) -> None:
        """See `ProgressReport`."""

    def report(self, text: str) -> None:
        """See `ProgressReport`."""


class _Memory:
    """A profile's tables in memory. ``cpu_seconds``: what the answers have cost; ``shown``: items by table."""

    def __init__(self) -> None:
        self.account = Account()
        self.cpu_seconds = 0.0
        self.shown: Counter[str] = Counter()
        self._lock = threading.Lock()

    def answer_for(self, dynamodb: Any) -> None:
        """Answer this client from now on."""
        network = self.account.network()

        def respond(request: Any, event_name: str, **_: Any) -> Any:
            operation = f"dynamodb.{event_name.rpartition('.')[2]}"
            with self._lock:
                began = time.thread_time()
                asked = orjson.loads(request.body)
                response = network.call(operation, request.url, request.body, _TIMEOUT)
                if operation in {"dynamodb.Scan", "dynamodb.Query"}:
                    self.shown[asked["TableName"]] += orjson.loads(response.content).get("Count", 0)
                self.cpu_seconds += time.thread_time() - began
            return response

        dynamodb.meta.events.register("before-send.dynamodb", respond)


def readings(events: int, runs: int, report: Callable[[str], None]) -> dict[str, Any]:
    """Every read model rebuilt from so many events, skewed over a thousand accounts, and then verified.

    Threads are kept on one core, and let free for comparison. CPU is of the whole process, without what the answers
    from memory cost.
    """
    found: dict[str, Any] = {"events": events, "read_models": [each.name for each in PROJECTIONS]}
    found |= {"rebuild": [], "verify": [], "free": {"rebuild": [], "verify": []}, "processes": {"1": [], "2": []}}
    for _ in range(runs):
        for on, runs_of in ((_one_core(), found), (nullcontext(), found["free"])):
            with on, _filled(events) as (components, memory):
                for name, work in (("rebuild", _rebuild), ("verify", _verify)):
                    run = _measured(components, memory, work, events)
                    runs_of[name].append(run)
                    rate = f"{run['per_core']:,.0f} a second a core, {run['reads']:.2f} reads"
                    report(f"{name} of {events:,} events: {rate}")
        for count, rates in found["processes"].items():
            rates.append(_rate(int(count), events))
            report(f"{count} processes: {rates[-1]:,.0f} events a second")
    return found


def _rate(count: int, events: int) -> float:
    """Events a second by the clock of so many processes at once, each with a segment and an AWS in its own memory."""
    seen: dict[int, list[tuple[float, int]]] = {number: [] for number in range(count)}

    def done(segment: int, cursor: Cursor, *_: object) -> None:
        seen[segment].append((time.monotonic(), cursor.items))

    with TemporaryDirectory() as meeting:
        read_in_processes(
            Processes(count, open_components=partial(_components, events, Path(meeting), count)),
            ChildBuilders({each.name: 1 for each in PROJECTIONS}),
            [Cursor()] * count,
            lambda: [each.name for each in PROJECTIONS],
            done,
            lambda *_: None,
        )
    read = sum(pages[-1][1] - pages[0][1] for pages in seen.values())
    return read / (max(pages[-1][0] for pages in seen.values()) - min(pages[0][0] for pages in seen.values()))


@contextmanager
def _components(events: int, meeting: Path, count: int) -> Iterator[Components]:
    """A child's, once every child has its own."""
    with _filled(events) as (components, _):
        (meeting / str(os.getpid())).touch()
        while len(list(meeting.iterdir())) < count:
            time.sleep(0.001)
        yield components


@contextmanager
def _one_core() -> Iterator[None]:
    """Keep this thread, and those that it begins meanwhile, on one core."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


@contextmanager
def _filled(events: int) -> Iterator[tuple[Components, _Memory]]:
    settings = ProjectorSettings.model_validate({"profile": _PROFILE, "endpoint_url": _NOWHERE, "region": "us-east-1"})
    clients, memory = service_clients(_NOWHERE, _PROFILE), _Memory()
    memory.answer_for(clients.dynamodb)
    with ThreadPoolExecutor(settings.write_concurrency) as executor:
        components = build_components(settings, clients, executor)
        for spec in (*store_specs(components.names), *control_specs(components.names)):
            memory.account.control.create_table(spec.request())
        table = memory.account.dynamodb.table(components.names.events)
        for each in skewed(events, 6):
            item = each.event.to_item()
            table.put(table.key_of(item), item)
        prepare(clients.dynamodb, components.names, PROJECTIONS)
        # As the commands do; AWS's tables are then none of the garbage collector's business either.
        collect_seldom()
        yield components, memory


def _measured(
    components: Components, memory: _Memory, work: Callable[[Components], None], events: int
) -> dict[str, float]:
    shown, answers, cpu = memory.shown[components.names.events], memory.cpu_seconds, time.process_time()
    work(components)
    cpu = time.process_time() - cpu - (memory.cpu_seconds - answers)
    return {
        "per_core": events / cpu,
        "cpu_micros": cpu / events * 1e6,
        "reads": (memory.shown[components.names.events] - shown) / events,
    }


def _rebuild(components: Components) -> None:
    Rebuild(components, _Silence()).run(PROJECTIONS, segments=_SEGMENTS)


def _verify(components: Components) -> None:
    components.models.refresh()
    retry = RetryUntilStopped(threading.Event(), lambda _: None)
    models = [components.models.active(each) for each in PROJECTIONS]
    verifications = [verification_of(components, model, retry, _wrong, wait=0) for model in models]
    check_everything(verifications, (Cursor(),) * _SEGMENTS, lambda *_: None)


def _wrong(finding: Any) -> None:
    raise RuntimeError(f"a rebuilt account does not agree: {finding}")
