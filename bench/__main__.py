"""The benchmarks' command line: `python -m bench --help`."""

import runpy
import sys
from pathlib import Path
from typing import Annotated

import typer

from bench.contenders import CONTENDERS
from bench.contest import Sizes, contest
from bench.results import LATEST, keep
from bench.workloads import WORKLOADS

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="How fast, how cheap, next to what. Every command adds its section to the result file; `report` makes the "
    "tables of docs/benchmarks.md from it.",
)

Results = Annotated[Path, typer.Option(help="The result file.")]


def _tell(line: str) -> None:
    typer.echo(line, err=True)


@app.command("contest")
def run_contest(
    contender: Annotated[list[str] | None, typer.Option(help=f"One of {', '.join(CONTENDERS)}; may repeat.")] = None,
    workload: Annotated[list[str] | None, typer.Option(help=f"One of {', '.join(WORKLOADS)}; may repeat.")] = None,
    events: Annotated[int, typer.Option(min=1, help="Distinct events on the stream.")] = 10_000,
    backlog: Annotated[int, typer.Option(min=1, help="Events of the backlog workload.")] = 30_000,
    peer_records: Annotated[int, typer.Option(min=1, help="Records that a peer handles, from the first on.")] = 1_500,
    runs: Annotated[int, typer.Option(min=1, help="Runs of each contender, alternating.")] = 5,
    shards: Annotated[int, typer.Option(min=1, help="Shards of the stream.")] = 4,
    results: Results = LATEST,
) -> None:
    """Kinfold and its peers on the same streams: events a second, CPU, calls, capacity units, memory."""
    chosen = [CONTENDERS[name] for name in contender or CONTENDERS]
    sizes = Sizes(events, backlog, peer_records, runs, shards)
    keep(results, "contest", contest(chosen, workload or list(WORKLOADS), sizes, _tell))


@app.command(
    "kcl-drain", context_settings={"allow_extra_args": True, "ignore_unknown_options": True}, add_help_option=False
)
def kcl_drain(context: typer.Context) -> None:
    """Memory while KCL drains a backlog."""
    _run("bench.kcl_drain", context)


@app.command(
    "kcl-takeover", context_settings={"allow_extra_args": True, "ignore_unknown_options": True}, add_help_option=False
)
def kcl_takeover(context: typer.Context) -> None:
    """How long KCL takes to hand shards over."""
    _run("bench.kcl_takeover", context)


def _run(module: str, context: typer.Context) -> None:
    sys.argv[1:] = context.args
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    app(prog_name="python -m bench")
