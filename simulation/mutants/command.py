"""``python -m simulation.mutants``: each mutant in a copy of the code, run until an invariant finds it."""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Final

import typer

from simulation.mutants.faults import MUTANTS
from simulation.mutants.mutant import Mutant

#: The packages that a copy holds.
PACKAGES: Final = (
    "aws_client",
    "ledger",
    "betting",
    "faust_kinesis",
    "writer",
    "stream_bridge",
    "projector",
    "kinfold",
    "simulation",
)
_ROOT: Final = Path(__file__).resolve().parents[2]
#: More seeds than ever run, and CPU seconds more than allowed, after which a process that hangs is killed.
_SEEDS: Final = 1_000_000
_GRACE: Final = 60

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a mutant; ``found`` is None when it survived. ``seeds`` it took, and ``seconds`` of CPU."""

    mutant: Mutant
    found: str | None
    seeds: int
    seconds: float

    def row(self) -> str:
        """The result as a row of the table."""
        found = self.found or "**survived**"
        return f"| {self.mutant.name} | {self.mutant.breaks} | {found} | {self.seeds} | {self.seconds:.0f} |"


@app.command(epilog="Exit codes: 0 every mutant was found, 1 one survived, 2 bad arguments.")
def mutate(
    only: Annotated[list[str] | None, typer.Option(show_default=False, help="This mutant; may be repeated.")] = None,
    minutes: Annotated[float, typer.Option(min=0.1, help="CPU minutes of simulation for each mutant.")] = 10.0,
    jobs: Annotated[int, typer.Option(min=1, max=2, help="Mutants at a time.")] = 2,
) -> None:
    """Put one fault at a time into a copy of the code, and simulate it from seed 0 on until an invariant finds it.

    The table on standard output says which invariant found each, and at which seed: the same ones every time.

    [dim]$[/dim] python -m simulation.mutants --only parts-after-heads
    """
    unknown = set(only or ()) - {each.name for each in MUTANTS}
    if unknown:
        raise typer.BadParameter(f"no such mutant: {', '.join(sorted(unknown))}", param_hint="--only")
    chosen = [each for each in MUTANTS if not only or each.name in only]
    typer.echo("| mutant | breaks | found by | seeds | CPU seconds |\n|---|---|---|---|---|")
    survived = 0
    with ThreadPoolExecutor(jobs) as pool:
        for ended in as_completed([pool.submit(hunt, each, minutes * 60) for each in chosen]):
            result = ended.result()
            survived += result.found is None
            typer.echo(result.row())
    typer.echo(f"\n{len(chosen) - survived} of {len(chosen)} mutants found", err=True)
    raise typer.Exit(1 if survived else 0)


def hunt(mutant: Mutant, seconds: float) -> Result:
    """Simulate one mutant for at most so many seconds of CPU. Raises MisplacedError."""
    with TemporaryDirectory(prefix=f"mutant-{mutant.name}-") as name:
        copy = Path(name)
        for package in PACKAGES:
            shutil.copytree(_ROOT / package, copy / package, ignore=shutil.ignore_patterns("__pycache__"))
        mutant.apply(copy)
        return _simulate(mutant, copy, seconds)


def _simulate(mutant: Mutant, copy: Path, seconds: float) -> Result:
    request = {
        "begin": 0,
        "end": _SEEDS,
        "step": 1,
        "seconds": seconds,
        "traced": False,
        "shrink": False,
        "first": True,
    }
    limit = int(seconds) + _GRACE
    worker = subprocess.Popen(  # noqa: S603 - our own interpreter and module names
        [sys.executable, "-m", "simulation.worker", json.dumps(request)],
        cwd=copy,
        env={**os.environ, "PYTHONPATH": str(copy), "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"},
        stdout=subprocess.PIPE,
        text=True,
    )
    # What loops without an end is no finding: the simulator has to say so itself.
    resource.prlimit(worker.pid, resource.RLIMIT_CPU, (limit, limit))
    found, seeds, spent = None, 0, 0.0
    with worker:
        assert worker.stdout is not None
        for run in map(json.loads, worker.stdout):
            seeds, spent = seeds + 1, run["cpu"]
            if run["violations"]:
                found = str(run["violations"][0]).partition(":")[0]
    return Result(mutant, found, seeds, spent)
