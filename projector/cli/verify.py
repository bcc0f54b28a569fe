"""``kinfold projector verify``: compare the read models with the event store."""

import json
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from projector.cli.options import WAITING, WRONG, Json, ProjectionNames, ReadProcesses, ReadUnits, Segments, chosen

if TYPE_CHECKING:
    from ledger.runtime.progress_bar import ProgressBars
    from projector.components import Components
    from projector.projection import Projection
    from projector.verification.reading_processes import Processes
    from projector.verification.verification import Finding, Verification

#: Aggregates named in text; --json names them all.
_NAMED = 100

EPILOG = (
    "Exit codes: 0 every aggregate agrees, or was repaired; 4 an aggregate is wrong (or has rows without events, or "
    "events that cannot be read), or the events table was made anew; 5 none is wrong, but some are behind, missing "
    "or halted; 1 the generation was replaced meanwhile or a resource is gone; 2 bad settings; "
    "3 too many aggregates were halted; 75 the endpoint does not answer."
)


def verify(
    context: typer.Context,
    projection: ProjectionNames = None,
    sample: Annotated[
        int | None, typer.Option(min=1, show_default=False, help="Only about that many aggregates, chosen at random.")
    ] = None,
    repair: Annotated[
        bool, typer.Option("--repair", help="Rewrite wrong rows, delete rows without events, catch late aggregates up.")
    ] = False,
    wait: Annotated[
        float,
        typer.Option(
            min=0, max=86_400, help="Seconds that a late aggregate has to catch up before it counts as behind."
        ),
    ] = 5,
    segments: Segments = 4,
    processes: ReadProcesses = 1,
    read_units: ReadUnits = None,
    as_json: Json = False,
) -> None:
    """Refold each aggregate from the event store and compare it with what readers see.

    Aggregates are compared at their own version, so that being behind differs from being wrong. Nothing changes without
    --repair. Safe while workers and writers run. A halted aggregate stays halted: redrive it.

    [dim]$[/dim] kinfold projector verify --sample 1000
    [dim]$[/dim] kinfold projector verify --repair --json | jq 'select(.found == "wrong")'
    """
    from ledger.audit.recorded_command import recorded
    from ledger.runtime.measuring.capacity import metered
    from ledger.runtime.progress_bar import ProgressBars
    from projector.cli.context import operator
    from projector.verification.reading_processes import Processes

    with (
        operator(folds=True) as components,
        metered(components.clients.dynamodb) as units,
        ProgressBars(units) as progress,
    ):
        projections = chosen(projection, components.projections)
        components.skips.load()
        spread = Processes(processes, read_units, partial(operator, folds=True), units)
        work = _Work(components, progress, max(segments, processes), wait, repair=repair, as_json=as_json)
        with recorded(components.audit, context) as details:
            tally = work.verify(projections, sample, spread, details)
            if tally["wrong"] or tally["extra"] or tally["unreadable"]:
                raise typer.Exit(WRONG)
            if tally["behind"] or tally["missing"] or tally["halted"]:
                raise typer.Exit(WAITING)


class _Printer:
    """Prints findings as they come: all of them in JSON, the first hundred in text, which it keeps for the record."""

    def __init__(self, projection: str, progress: "ProgressBars", *, as_json: bool) -> None:
        self.projection = projection
        self.progress = progress
        self.as_json = as_json
        self.first: list[dict[str, Any]] = []
        self._named = 0

    def __call__(self, finding: "Finding") -> None:
        self._named += 1
        if self._named <= _NAMED:
            self.first.append(finding.to_json())
        if self.as_json:
            self.progress.result(json.dumps({"projection": self.projection, **finding.to_json()}))
        elif self._named <= _NAMED:
            self.progress.result(self._line(finding))

    def _line(self, finding: "Finding") -> str:
        found = finding.found
        at = "no row" if found.version is None else f"version {found.version}"
        late = f", behind by {found.behind}" if found.behind else ""
        reason = f": {found.reason}" if found.reason else ""
        done = f" -> {finding.done}, now {finding.now.kind}" if finding.done else ""
        return f"{self.projection} {found.aggregate_id}: {found.kind} at {at}{late}{reason}{done}"

    def end(self, generation: int, tally: Counter[Any]) -> None:
        """Print the summary."""
        if self.as_json:
            self.progress.result(
                json.dumps({"projection": self.projection, "generation": generation, "tally": dict(tally)})
            )
            return
        if self._named > _NAMED:
            self.progress.result(f"... and {self._named - _NAMED} more: --json names them all")
        counted = ", ".join(f"{count} {kind}" for kind, count in sorted(tally.items())) or "no aggregate"
        self.progress.result(f"{self.projection}, generation {generation}: {counted}")


class _Work:
    """One run of the command."""

    def __init__(
        self,
        components: "Components",
        progress: "ProgressBars",
        segments: int,
        wait: float,
        *,
        repair: bool,
        as_json: bool,
    ) -> None:
        from ledger.store.parallel_scan import RetryUntilStopped

        self._components = components
        self._progress = progress
        self._segments = segments
        self._wait = wait
        self._repair = repair
        self._as_json = as_json
        self._retry = RetryUntilStopped(threading.Event(), progress.report)

    def verify(
        self,
        projections: "Sequence[Projection[Any]]",
        sample: int | None,
        processes: "Processes",
        details: dict[str, Any],
    ) -> Counter[Any]:
        """Verify the read models, or about so many aggregates of each; ``details`` gets what was found in each."""
        from ledger.errors import ResourceError

        components = self._components
        generations = {each.name: components.generations.read(each.name).active for each in projections}
        printers = {each.name: _Printer(each.name, self._progress, as_json=self._as_json) for each in projections}
        verifications = [self._verification(each, generations[each.name], printers[each.name]) for each in projections]
        if sample is None:
            self._everything(verifications, printers, generations, processes)
        for verification in verifications:
            if sample is not None:
                self._progress.begin(verification.name, "sampling aggregates", sample, 0)
                verification.sample(sample, partial(self._progress.advance, verification.name))
            else:
                self._extra_rows(verification)
            generation, tally = generations[verification.name], verification.tally
            printer = printers[verification.name]
            printer.end(generation, tally)
            seen = {"generation": generation, "tally": dict(tally), "findings": printer.first}
            details.setdefault("readModels", []).append({"projection": verification.name, **seen})
        for name, generation in generations.items():
            now = components.generations.read(name).active
            if now != generation:
                raise ResourceError(
                    f"generation {generation} of {name} was replaced by {now} while it was verified: verify again"
                )
        return sum((verification.tally for verification in verifications), Counter())

    def _extra_rows(self, verification: "Verification") -> None:
        from ledger.store.parallel_scan import Cursor, approximate_size

        read, name, dynamodb = [0] * self._segments, verification.name, self._components.clients.dynamodb

        def moved(segment: int, cursor: Cursor) -> None:
            read[segment] = cursor.items
            self._progress.advance(name, sum(read))

        size = self._retry(partial(approximate_size, dynamodb, verification.table))
        self._progress.begin(name, "reading rows", size, 0)
        verification.extra_rows(self._segments, moved)

    def _verification(self, projection: "Projection[Any]", generation: int, printer: _Printer) -> "Verification":
        from projector.verification.repair import Repair
        from projector.verification.verification import verification_of

        components, model = self._components, self._components.models.model(projection, generation)
        feeder = components.feeder_of_all(projection, cache_size=1000)
        repairer = Repair(components.clients.dynamodb, model, feeder) if self._repair else None
        return verification_of(components, model, self._retry, printer, repairer=repairer, wait=self._wait)

    def _everything(
        self,
        verifications: "Sequence[Verification]",
        printers: Mapping[str, _Printer],
        generations: Mapping[str, int],
        processes: "Processes",
    ) -> None:
        """Check every aggregate of all read models in one reading of the events table."""
        from ledger.runtime.rate_limiter import RateLimiter, limit_reads
        from ledger.store.parallel_scan import Cursor, approximate_size
        from projector.verification.child_verifications import ChildVerifications
        from projector.verification.reading_processes import read_in_processes
        from projector.verification.verification import check_everything

        cursors, progress, by_name = [Cursor()] * self._segments, self._progress, {v.name: v for v in verifications}
        work = ", ".join(by_name)
        dynamodb, table = self._components.clients.dynamodb, self._components.names.events

        def moved(segment: int, cursor: Cursor, *_: object) -> None:
            cursors[segment] = cursor
            progress.advance(work, sum(each.items for each in cursors))

        def received(kind: str, *what: Any) -> None:
            match kind:
                case "report":
                    progress.report(*what)
                case "found":
                    printers[what[0]](what[1])
                case "settled":
                    by_name[what[0]].tally.update(what[1])

        progress.begin(work, "verifying", self._retry(partial(approximate_size, dynamodb, table)), 0)
        if processes.count > 1:
            make = ChildVerifications(generations, self._repair, self._wait)
            read_in_processes(processes, make, tuple(cursors), lambda: list(by_name), moved, received)
            return
        if processes.read_units is not None:
            limit_reads(dynamodb, table, RateLimiter(processes.read_units, self._retry.stop))
        check_everything(verifications, tuple(cursors), moved)
