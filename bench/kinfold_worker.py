"""Kinfold as a contender: `python -m bench.kinfold_worker`. The projector that `kinfold projector run` runs, metered.

The same settings, clients, Faust app and worker, from the same environment. Two things differ: hooks on its clients
count the calls, and it stops itself once everything is applied. `--projections balance-summary` registers that read
model alone, which is the work that the peers do.
"""

import argparse
import os
import signal
import threading
import time
from pathlib import Path
from typing import Final

from bench.metering import Meter
from kinfold.ports import LOOPBACK, free_port
from ledger.aws import Clients
from ledger.logs import configure_logs
from ledger.settings import load_settings
from ledger.tables import Names
from projector import projections
from projector.settings import ProjectorSettings

_LOOK: Final = 0.01
#: Seconds without any progress after which what is applied counts as the end.
_QUIET: Final = 0.5


def register(names: list[str]) -> None:
    """Leave only these projections registered. Before anything imports them from `projector.projections`."""
    chosen = tuple(each for each in projections.PROJECTIONS if each.name in names)
    projections.PROJECTIONS = chosen  # type: ignore[misc]


def run(given: argparse.Namespace) -> None:
    """Run the worker until ``given.events`` events are applied out of ``given.records`` records, then report."""
    register(given.projections)
    from projector.app import build_app
    from projector.preparation import prepare
    from projector.worker import run_worker

    settings = load_settings(ProjectorSettings)
    configure_logs(settings.log_level, settings.log_format, quiet=("faust", "mode"))
    clients = Clients(settings, connections=settings.write_concurrency + 32)
    names = Names(settings.profile)
    summaries = [each.table(settings.profile, 1) for each in projections.PROJECTIONS]
    meter = Meter(*summaries)
    meter.watch(clients.dynamodb)
    meter.watch(clients.kinesis)
    prepare(clients.dynamodb, names, projections.PROJECTIONS)
    projector = build_app(settings, clients, host=LOOPBACK, port=free_port())
    projector.house.skips.load()
    metrics = projector.house.metrics

    def total(counter: object) -> float:
        return sum(
            sample.value
            for family in counter.collect()  # type: ignore[attr-defined]
            for sample in family.samples
            if sample.name.endswith("_total")
        )

    def progress() -> tuple[float, float, float]:
        return total(metrics.records), total(metrics.applied), total(metrics.duplicates)

    def watch() -> None:
        before, moved_at = progress(), time.monotonic()
        while True:
            time.sleep(_LOOK)
            now = progress()
            if now != before:
                meter.begin()  # a KCL worker reads no records itself
                meter.effect()
                before, moved_at = now, time.monotonic()
            everything = now[0] >= given.records and now[1] >= given.events * len(summaries)
            if everything and time.monotonic() - moved_at > _QUIET:
                os.kill(os.getpid(), signal.SIGTERM)
                return

    threading.Thread(target=watch, name="watch", daemon=True).start()
    run_worker(projector)
    records, applied, duplicates = progress()
    gaps, lost = total(metrics.gaps_repaired), total(metrics.lost_conditions)
    meter.write_report(
        given.report, handled=records, applied=applied, duplicates=duplicates, gaps_repaired=gaps, lost_conditions=lost
    )


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, required=True, help="distinct events that the stream holds")
    parser.add_argument("--records", type=int, required=True, help="records that it holds, repeated ones included")
    parser.add_argument("--report", type=Path, required=True)
    known = [each.name for each in projections.PROJECTIONS]
    parser.add_argument("--projections", nargs="+", choices=known, default=known)
    run(parser.parse_args())


if __name__ == "__main__":
    main()
