"""``kinfold projector verify``: compare the read models with the event store."""

import json
import threading
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from projector.cli.options import WAITING, WRONG, Json, ProjectionNames, Segments, chosen

if TYPE_CHECKING:
    from ledger.runtime.progress_bar import ProgressBars
    from projector.components import Components
    from projector.projection import Projection
    from projector.verification.verification import Finding

#: Accounts named in text; --json names them all.
_NAMED = 100

EPILOG = (
    "Exit codes: 0 every account agrees, or was repaired; 4 an account is wrong (or has rows without events, or events "
    "that cannot be read), or the events table was made anew; 5 none is wrong, but some are behind, missing or halted; "
    "1 the generation was replaced meanwhile or a resource is gone; 2 bad settings; 3 too many accounts were halted; "
    "75 the endpoint does not answer."
)


def verify(
    projection: ProjectionNames = None,
    sample: Annotated[
        int | None, typer.Option(min=1, show_default=False, help="Only about that many accounts, chosen at random.")
    ] = None,
    repair: Annotated[
        bool, typer.Option("--repair", help="Rewrite wrong rows, delete rows without events, catch late accounts up.")
    ] = False,
    wait: Annotated[
        float,
        typer.Option(min=0, max=86_400, help="Seconds that a late account has to catch up before it counts as behind."),
    ] = 5,
    segments: Segments = 4,
    as_json: Json = False,
) -> None:
    """Refold each account from the event store and compare it with what readers see.

    Accounts are compared at their own version, so that being behind differs from being wrong. Nothing changes without
    --repair. Safe while workers and writers run. A halted account stays halted: redrive it.

    [dim]$[/dim] kinfold projector verify --sample 1000
    [dim]$[/dim] kinfold projector verify --repair --json | jq 'select(.found == "wrong")'
    """
    from ledger.runtime.progress_bar import ProgressBars
    from projector.cli.context import operator

    tally: Counter[str] = Counter()
    with operator(folds=True) as components, ProgressBars() as progress:
        components.skips.load()
        for each in chosen(projection):
            printer = _Printer(each.name, progress, as_json=as_json)
            tally += _verify(components, each, printer, sample=sample, repair=repair, wait=wait, segments=segments)
    if tally["wrong"] or tally["extra"] or tally["unreadable"]:
        raise typer.Exit(WRONG)
    if tally["behind"] or tally["missing"] or tally["halted"]:
        raise typer.Exit(WAITING)


class _Printer:
    """Prints findings as they come: all of them in JSON, the first hundred in text."""

    def __init__(self, projection: str, progress: "ProgressBars", *, as_json: bool) -> None:
        self.projection = projection
        self.progress = progress
        self.as_json = as_json
        self._named = 0

    def __call__(self, finding: "Finding") -> None:
        self._named += 1
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
        return f"{self.projection} {found.account_id}: {found.kind} at {at}{late}{reason}{done}"

    def end(self, generation: int, tally: Counter[Any]) -> None:
        """Print the summary."""
        if self.as_json:
            self.progress.result(
                json.dumps({"projection": self.projection, "generation": generation, "tally": dict(tally)})
            )
            return
        if self._named > _NAMED:
            self.progress.result(f"... and {self._named - _NAMED} more: --json names them all")
        counted = ", ".join(f"{count} {kind}" for kind, count in sorted(tally.items())) or "no account"
        self.progress.result(f"{self.projection}, generation {generation}: {counted}")


def _verify(
    components: "Components",
    projection: "Projection[Any]",
    printer: _Printer,
    *,
    sample: int | None,
    repair: bool,
    wait: float,
    segments: int,
) -> Counter[Any]:
    from ledger.errors import ResourceError
    from ledger.store.parallel_scan import Cursor, RetryUntilStopped, approximate_size
    from projector.verification.repair import Repair
    from projector.verification.verification import verification_of

    dynamodb = components.clients.dynamodb
    generation = components.generations.read(projection.name).active
    model = components.models.model(projection, generation)
    retry = RetryUntilStopped(threading.Event(), printer.progress.report)
    repairer = Repair(dynamodb, model, components.feeder_of_all(projection, cache_size=1000)) if repair else None
    verification = verification_of(components, model, retry, printer, repairer=repairer, wait=wait)
    if sample is not None:
        verification.sample(sample)
    else:
        cursors = [Cursor() for _ in range(segments)]

        def moved(segment: int, cursor: Cursor) -> None:
            cursors[segment] = cursor
            printer.progress.advance(projection.name, sum(each.items for each in cursors))

        total = retry(partial(approximate_size, dynamodb, components.names.events))
        printer.progress.begin(projection.name, "verifying", total, 0)
        verification.everything(tuple(cursors), moved)
        verification.extra_rows(segments, lambda _segment, _cursor: None)
    printer.end(generation, verification.tally)
    now = components.generations.read(projection.name).active
    if now != generation:
        raise ResourceError(
            f"generation {generation} of {projection.name} was replaced by {now} while it was verified: verify again"
        )
    return Counter(verification.tally)
