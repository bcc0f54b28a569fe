"""Kinfold as a contender: `python -m bench.alone.worker`. The projector that `kinfold projector run` runs, metered.

The same settings, clients, Faust app and worker, from the same environment. Two things differ: hooks on its clients
count the calls, and it stops itself once everything is applied. `--projections balance-summary` registers that read
model alone, which is the work that the peers do. `--from-memory` cuts the network out (bench.alone.fake_aws).
"""

import argparse
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any, Final

import betting
from bench.alone.fake_aws import MemoryAws, Pages
from bench.alone.profiling import Profiles
from bench.metering.meter import Meter, cpu_seconds, resident_mb
from ledger.runtime.aws import Clients
from ledger.runtime.logs import configure_logs
from ledger.runtime.settings import load_settings
from ledger.runtime.sockets import LOOPBACK
from ledger.store.tables import Names
from projector.metrics import Metrics
from projector.settings import ProjectorSettings

#: Seconds between two looks at the counters, and between two points of the series.
_LOOK: Final = 0.01
_POINT: Final = 0.5
#: Seconds without any progress after which what is applied counts as the end.
_QUIET: Final = 0.5


class Progress:
    """How far a worker is, by its own counters; it ends the process when everything is applied."""

    def __init__(self, metrics: Metrics, meter: Meter, memory: MemoryAws | None) -> None:
        self._metrics = metrics
        self._meter = meter
        self._memory = memory
        #: Points over time: seconds, events applied, CPU seconds, resident MB, units read and written.
        self.series: list[dict[str, float]] = []

    def watch(self, records: int, applied: int) -> None:
        """Look until so many are there. Called in a thread of its own."""
        before, moved_at, point_at = self.now(), time.monotonic(), 0.0
        while True:
            time.sleep(_LOOK)
            now = self.now()
            if now != before:
                self._meter.begin()  # a KCL worker reads no records itself
                self._meter.effect()
                before, moved_at = now, time.monotonic()
                if moved_at - point_at > _POINT and (not self.series or now[1] > self.series[-1]["applied"]):
                    self._point(now[1])
                    point_at = moved_at
            if now[0] >= records and now[1] >= applied and time.monotonic() - moved_at > _QUIET:
                os.kill(os.getpid(), signal.SIGTERM)
                return

    def now(self) -> tuple[float, float, float]:
        """Records received, events applied (summed over the read models), duplicates."""
        metrics = self._metrics
        return _total(metrics.records), _total(metrics.applied), _total(metrics.duplicates)

    def figures(self) -> dict[str, Any]:
        """What the worker counted, for the report."""
        records, applied, duplicates = self.now()
        return {
            "handled": records,
            "applied": applied,
            "duplicates": duplicates,
            "gaps_repaired": _total(self._metrics.gaps_repaired),
            "lost_conditions": _total(self._metrics.lost_conditions),
            "series": self.series,
        }

    def _point(self, applied: float) -> None:
        meter = self._meter
        self.series.append(
            {
                "seconds": time.perf_counter(),
                "applied": applied,
                "cpu_seconds": cpu_seconds() - (self._memory.cpu_seconds if self._memory else 0.0),
                "resident_mb": resident_mb(),
                "summary_reads": meter.units_of(meter.read_units),
                "summary_writes": meter.units_of(meter.write_units),
            }
        )


def _total(counter: Any) -> float:
    samples = [sample for family in counter.collect() for sample in family.samples]
    return float(sum(sample.value for sample in samples if sample.name.endswith("_total")))


def register(names: list[str]) -> None:
    """Leave only these projections registered. Before anything loads the domain."""
    chosen = tuple(each for each in betting.PROJECTIONS if each.name in names)
    betting.PROJECTIONS = chosen  # type: ignore[misc]


def run(given: argparse.Namespace) -> None:
    """Run the worker until ``given.events`` events are applied out of ``given.records`` records, then report."""
    if given.one_core:
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    register(given.projections)
    from projector.app import build_app
    from projector.engine.provisioning import prepare
    from projector.engine.read_model import table_spec
    from projector.worker import run_worker

    settings = load_settings(ProjectorSettings)
    configure_logs(settings.log_level, settings.log_format, quiet=("faust", "mode"))
    clients = Clients(settings, connections=settings.write_concurrency + 32)
    names = Names(settings.profile)
    models = betting.PROJECTIONS
    tables = [table_spec(each, settings.profile, 1) for each in models]
    meter = Meter(*(table.name for table in tables))
    meter.watch(clients.dynamodb)
    meter.watch(clients.kinesis)
    memory = None
    if given.from_memory:
        memory = MemoryAws(Pages(given.from_memory), tables)
        memory.answer_for(clients.kinesis, clients.dynamodb)
    prepare(clients.dynamodb, names, models)
    projector = build_app(settings, clients, *settings.claim(LOOPBACK, 0))
    projector.components.skips.load()
    progress = Progress(projector.components.metrics, meter, memory)
    wanted = (given.records, given.events * len(models))
    threading.Thread(target=progress.watch, args=wanted, name="watch", daemon=True).start()
    profiles = Profiles() if given.profile else None
    if profiles:
        profiles.begin()
    run_worker(projector)
    if profiles:
        profiles.end(given.profile)
    more = progress.figures() | ({"answers_cpu_seconds": memory.cpu_seconds} if memory else {})
    meter.write_report(given.report, **more)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, required=True, help="distinct events that the stream holds")
    parser.add_argument("--records", type=int, required=True, help="records that it holds, repeated ones included")
    parser.add_argument("--report", type=Path, required=True)
    known = [each.name for each in betting.PROJECTIONS]
    parser.add_argument("--projections", nargs="+", choices=known, default=known)
    parser.add_argument("--from-memory", type=Path, metavar="DIR", help="pages that bench.alone.fake_aws has prepared")
    parser.add_argument("--one-core", action="store_true", help="keep every thread on one core")
    parser.add_argument("--profile", type=Path, metavar="FILE", help="write a profile of every thread (pstats)")
    run(parser.parse_args())


if __name__ == "__main__":
    main()
