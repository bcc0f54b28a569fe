"""``python -m simulation``: seeds in worker processes, their progress, and the shortest trace of what fails."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from queue import SimpleQueue
from threading import Thread
from typing import Annotated, Any, Final

import typer

#: Where the seeds of a fresh set begin at most: they stay short enough to be typed.
_FRESH: Final = 1_000_000_000

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command(epilog="Exit codes: 0 every invariant held, 1 one was violated, 2 bad arguments, 130 Ctrl-C.")
def simulate(
    seed: Annotated[int | None, typer.Option(min=0, show_default=False, help="Run this seed alone.")] = None,
    trace: Annotated[bool, typer.Option("--trace", help="With --seed: print every step.")] = False,
    shrink: Annotated[
        bool, typer.Option("--shrink/--no-shrink", help="Look for a shorter way to a violation, and print its steps.")
    ] = True,
    seeds: Annotated[int, typer.Option(min=1, help="How many seeds, from --first on.")] = 100,
    first: Annotated[int | None, typer.Option(min=0, show_default=False, help="First seed; by default 0.")] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Seeds that nobody has chosen.")] = False,
    seconds: Annotated[
        float | None, typer.Option(min=1, show_default=False, help="CPU seconds of each process after which it ends.")
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, show_default="one a core", help="Processes.")] = os.cpu_count() or 1,
    stop: Annotated[bool, typer.Option("--stop", help="End at the first violation.")] = False,
) -> None:
    """Run the real writers, projectors, relays and the rest against an AWS in memory, in virtual time, under faults.

    Everything a run does follows from its seed: who works, what is slow, lost, repeated or killed, and in which order.
    After every step, invariants are checked that share no code with the product. docs/simulation.md says which.

    [dim]$[/dim] python -m simulation --seeds 1000
    [dim]$[/dim] python -m simulation --seed 4711 --trace
    """
    if seed is not None:
        raise typer.Exit(_one(seed, trace=trace, shrink=shrink))
    begin = secrets.randbelow(_FRESH) if fresh else first or 0
    runs = calls = failed = 0
    cpu: dict[int, float] = {}
    try:
        typer.echo(f"seeds {begin} to {begin + seeds - 1}", err=True)
        for job, run in _campaign(begin, begin + seeds, jobs, seconds=seconds, shrink=shrink, first=stop):
            cpu[job] = run["cpu"]
            if run["trace"]:
                _show(run)
                if stop:
                    break
                continue
            runs, calls = runs + 1, calls + run["calls"]
            if run["violations"]:
                failed += 1
                typer.echo(f"seed {run['seed']}: {run['violations'][0]}")
                if stop and not shrink:
                    break
            if runs == 1 or runs % 50 == 0:
                typer.echo(f"{runs} runs, {calls} calls, {failed} violations", err=True)
    finally:
        spent = sum(cpu.values()) or 1.0
        typer.echo(f"{runs} runs, {calls} AWS calls, {calls / spent * 60:,.0f} a minute of CPU, {failed} violations")
    raise typer.Exit(1 if failed else 0)


def _one(seed: int, *, trace: bool, shrink: bool) -> int:
    failed = 0
    with _worker(begin=seed, end=seed + 1, traced=True, shrink=shrink and not trace) as worker:
        for run in _runs(worker):
            if run["violations"] and shrink and not trace and not failed:
                typer.echo(f"seed {seed}: {run['violations'][0]}\n")
                failed = 1
                continue
            _show(run, steps=trace or bool(failed))
            failed = failed or len(run["violations"])
    return 1 if failed else 0


def _show(run: dict[str, Any], *, steps: bool = True) -> None:
    typer.echo("\n".join([f"seed {run['seed']}", *run["plan"], ""]))
    if steps:
        typer.echo("\n".join(run["trace"]))
    typer.echo(f"{run['calls']} AWS calls, trace {run['digest'][:16]}, {run['violations'] or 'every invariant held'}\n")


def _campaign(begin: int, end: int, jobs: int, **request: Any) -> Iterator[tuple[int, dict[str, Any]]]:
    """The runs of all seeds, as they end, and which process ran each. No process outlives the iteration."""
    found: SimpleQueue[tuple[int, dict[str, Any] | BaseException | None]] = SimpleQueue()

    def read(job: int, worker: subprocess.Popen[str]) -> None:
        try:
            for run in _runs(worker):
                found.put((job, run))
            found.put((job, None))
        except (subprocess.CalledProcessError, ValueError) as error:
            found.put((job, error))

    with ExitStack() as stack:
        for job in range(jobs):
            worker = stack.enter_context(_worker(begin=begin + job, end=end, step=jobs, **request))
            Thread(target=read, args=(job, worker), daemon=True).start()
        while jobs:
            job, run = found.get()
            if isinstance(run, BaseException):
                raise run
            if run is None:
                jobs -= 1
            else:
                yield job, run


@contextmanager
def _worker(**request: Any) -> Iterator[subprocess.Popen[str]]:
    """A worker process that runs seeds, in a group of its own: a Ctrl-C is for the command, which ends its workers."""
    defaults = {"step": 1, "seconds": None, "traced": False, "shrink": False, "first": False}
    command: Sequence[str] = [sys.executable, "-m", "simulation.worker", json.dumps({**defaults, **request})]
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    with subprocess.Popen(  # noqa: S603 - our own interpreter and module names
        command, stdout=subprocess.PIPE, text=True, env=environment, process_group=0
    ) as worker:
        try:
            yield worker
        finally:
            worker.terminate()


def _runs(worker: subprocess.Popen[str]) -> Iterator[dict[str, Any]]:
    """What a worker reports. Raises CalledProcessError when it dies."""
    assert worker.stdout is not None
    yield from map(json.loads, worker.stdout)
    if worker.wait():
        raise subprocess.CalledProcessError(worker.returncode, worker.args)
