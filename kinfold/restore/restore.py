"""Brings everything derived in line with an events table that was restored, step by step.

1. Check every history for holes: nothing is changed when there is one. Then record the table's name, if that is new:
   from the next look on, nothing serves the former table.
2. Join the table to the stream again: a restored table comes without a streaming destination.
3. Give up builds that began on the old table, and drop what was derived from events that are no more.
4. Rebuild every read model, verified before readers see it.
5. Record which table it all is derived from now: until then no service stores or folds anything (``table_identity``).

Each step may be repeated, so a killed restore is simply run again.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Final

import structlog

from kinfold.restore.histories import Histories, HolesError, check_histories
from kinfold.restore.leftovers import Leftovers, LeftoverSweep
from ledger.errors import ResourceError
from ledger.runtime.measuring.capacity import CapacityUnits
from ledger.runtime.progress_bar import ProgressReport
from ledger.store.parallel_scan import RetryUntilStopped
from ledger.store.table_identity import LOOK_INTERVAL, TableIdentities
from projector.components import Components
from projector.rebuild.generations import GenerationTables
from projector.rebuild.rebuild import Rebuild, Rebuilt
from projector.verification.reading_processes import Processes

log = structlog.get_logger(__name__)

#: Seconds until every service has looked which table there is. One that never saw the new table before it is recorded
#: would go on with what it remembers of the lost one.
NOTICED_BY_ALL: Final = LOOK_INTERVAL + 5.0


@dataclass(frozen=True, slots=True)
class Restored:
    """What was found and done; ``rebuilt`` is empty in a dry run.

    ``replaced``: whether the table is another one; ``former``: other names under which the events were before.
    """

    replaced: bool
    former: tuple[str, ...]
    histories: Histories
    leftovers: Leftovers
    rebuilt: tuple[Rebuilt, ...] = ()


class Restore:
    """Restores one profile. For one run; not thread-safe. Raises ResourceError, and what a rebuild raises.

    Raises EndpointError or ThrottledError before it has begun; after that, a transient fault is retried for as long as
    it lasts.
    """

    def __init__(
        self,
        components: Components,
        join: Callable[[], None],
        progress: ProgressReport,
        units: CapacityUnits | None = None,
    ) -> None:
        """``join`` joins the events table to the stream, where it is not. ``units``: what its calls cost."""
        self._components = components
        self._join = join
        self._progress = progress
        self._processes = Processes(units=units)
        self._identities = TableIdentities(components.clients.dynamodb, components.names)
        self._retry = RetryUntilStopped(threading.Event(), progress.report)

    def look(self, *, segments: int) -> Restored:
        """Say what ``run`` would do; changes nothing. A history with a hole is part of the answer."""
        replaced, former = self._compare()
        return Restored(replaced, former, self._check(segments), self._sweep(dry_run=True))

    def run(self, *, segments: int) -> Restored:
        """Bring everything in line. Raises HolesError, with nothing changed; JobRunningError, JobLostError.

        These two say that another process has begun to rebuild, or to restore, meanwhile.
        """
        components, names = self._components, self._components.names
        table_id, (replaced, former) = self._identities.actual(), self._compare()
        histories = self._check(segments)
        if histories.holes:
            raise HolesError(names.events, histories.holes)
        began = time.monotonic()
        self._retry(self._identities.move)
        self._retry(self._join)
        tables = GenerationTables(components.clients.dynamodb, names)
        self._retry(partial(tables.abort, components.projections, self._progress.report))
        leftovers = self._sweep(dry_run=False)
        self._retry(components.skips.reload)
        rebuilt = Rebuild(components, self._progress, self._processes).run(components.projections, segments=segments)
        if replaced and (left := began + NOTICED_BY_ALL - time.monotonic()) > 0:
            self._progress.report(f"waiting {left:.0f} s until every service has noticed the table ...")
            self._retry.stop.wait(left)
        if self._retry(self._identities.actual) != table_id:
            raise ResourceError(f"table {names.events} was made anew while it was worked on: `kinfold restore` again")
        self._retry(lambda: self._identities.restored(table_id, datetime.now(UTC)))
        log.info("restored", table=names.events, table_id=table_id)
        return Restored(replaced, former, histories, leftovers, tuple(rebuilt))

    def _compare(self) -> tuple[bool, tuple[str, ...]]:
        recorded, ours = self._identities.find(), self._components.names.events
        if recorded is None:
            return False, ()
        replaced = (recorded.table_id, recorded.name) != (self._identities.actual(), ours)
        return replaced, tuple(sorted({recorded.name, *recorded.former} - {ours}))

    def _check(self, segments: int) -> Histories:
        dynamodb, table = self._components.clients.dynamodb, self._components.names.events
        return check_histories(dynamodb, table, segments, self._retry, self._progress)

    def _sweep(self, *, dry_run: bool) -> Leftovers:
        parts = self._components
        sweep = LeftoverSweep(
            parts.clients.dynamodb,
            parts.names,
            parts.store,
            parts.letters,
            parts.aggregates,
            self._retry,
            self._progress,
            dry_run=dry_run,
        )
        return sweep.run()
