"""``kinfold projector verify``: compare the read models with the event store."""

import json
import threading
from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from projector.cli.options import WAITING, WRONG, Json, ProjectionNames, Segments, chosen

if TYPE_CHECKING:
    from ledger.runtime.progress_bar import ProgressBars
    from ledger.store.parallel_scan import RetryUntilStopped
    from projector.components import Components
    from projector.projection import Projection
    from projector.verification.verification import Finding, Verification

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

    with operator(folds=True) as components, ProgressBars() as progress:
        components.skips.load()
        tally = _verify(
            components, chosen(projection), progress, sample, segments, wait, repair=repair, as_json=as_json
        )
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
    projections: "Sequence[Projection[Any]]",
    progress: "ProgressBars",
    sample: int | None,
    segments: int,
    wait: float,
    *,
    repair: bool,
    as_json: bool,
) -> Counter[Any]:
    from ledger.errors import ResourceError
    from ledger.store.parallel_scan import RetryUntilStopped
    from projector.verification.repair import Repair
    from projector.verification.verification import verification_of

    retry = RetryUntilStopped(threading.Event(), progress.report)
    generations = {each.name: components.generations.read(each.name).active for each in projections}
    printers = [_Printer(each.name, progress, as_json=as_json) for each in projections]
    verifications = []
    for each, printer in zip(projections, printers, strict=True):
        model = components.models.model(each, generations[each.name])
        feeder = components.feeder_of_all(each, cache_size=1000)
        repairer = Repair(components.clients.dynamodb, model, feeder) if repair else None
        verifications.append(verification_of(components, model, retry, printer, repairer=repairer, wait=wait))
    if sample is None:
        _everything(components, verifications, progress, segments, retry)
    for printer, verification in zip(printers, verifications, strict=True):
        if sample is not None:
            verification.sample(sample)
        else:
            verification.extra_rows(segments, lambda _segment, _cursor: None)
        printer.end(generations[printer.projection], verification.tally)
    for name, generation in generations.items():
        now = components.generations.read(name).active
        if now != generation:
            raise ResourceError(
                f"generation {generation} of {name} was replaced by {now} while it was verified: verify again"
            )
    return sum((verification.tally for verification in verifications), Counter())


def _everything(
    components: "Components",
    verifications: "Sequence[Verification]",
    progress: "ProgressBars",
    segments: int,
    retry: "RetryUntilStopped",
) -> None:
    """Check every account of all read models in one reading of the events table."""
    from ledger.store.parallel_scan import Cursor, approximate_size
    from projector.verification.verification import check_everything

    cursors = [Cursor()] * segments
    work = ", ".join(each.name for each in verifications)

    def moved(segment: int, cursor: Cursor, *_: object) -> None:
        cursors[segment] = cursor
        progress.advance(work, sum(each.items for each in cursors))

    total = retry(partial(approximate_size, components.clients.dynamodb, components.names.events))
    progress.begin(work, "verifying", total, 0)
    check_everything(verifications, tuple(cursors), moved)
