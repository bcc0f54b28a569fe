"""The benchmarks' command line: `python -m bench --help`."""

import runpy
import signal
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated

import typer

from bench.alone.delay import delay
from bench.alone.profiling import profile
from bench.alone.readings import readings
from bench.alone.store_costs import appends, loads, rebuild
from bench.alone.throughput import backlog, decoding, projecting
from bench.console.screens import console
from bench.contest.contenders import CONTENDERS, ON_KCL
from bench.contest.contest import Sizes, contest
from bench.contest.workloads import WORKLOADS
from bench.demo.demo import BEFORE, RevisionError, demo
from bench.report.results import LATEST, PUBLISHED, keep, load
from bench.report.tables import PAGE, fill, render
from bench.writer.account_costs import LENGTHS, MORE, account_costs
from bench.writer.contest import contest as writer_contest

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="How fast, how cheap, next to what. Every command adds its section to the result file; `report` makes the "
    "tables of docs/benchmarks.md from it.",
)

Results = Annotated[Path, typer.Option(help="The result file.")]


def _report(line: str) -> None:
    typer.echo(line, err=True)


@app.command("contest")
def run_contest(
    contender: Annotated[list[str] | None, typer.Option(help=f"One of {', '.join(CONTENDERS)}; may repeat.")] = None,
    workload: Annotated[list[str] | None, typer.Option(help=f"One of {', '.join(WORKLOADS)}; may repeat.")] = None,
    events: Annotated[int, typer.Option(min=1, help="Distinct events on the stream.")] = 15_000,
    backlog: Annotated[int, typer.Option(min=1, help="Events of the backlog workload.")] = 30_000,
    peer_records: Annotated[int, typer.Option(min=1, help="Records that a peer handles, from the first on.")] = 800,
    runs: Annotated[int, typer.Option(min=1, help="Runs of each contender, alternating.")] = 5,
    shards: Annotated[int, typer.Option(min=1, help="Shards of the stream.")] = 4,
    results: Results = LATEST,
) -> None:
    """Kinfold and its peers on the same streams: events a second, CPU, calls, capacity units, memory."""
    chosen = [CONTENDERS[name] for name in _known(contender, CONTENDERS)]
    workloads = _known(workload, WORKLOADS)
    for each in chosen:
        if not each.installed:
            raise typer.BadParameter(f"{each.name} is not installed: run `make bench-install`, or leave it out")
    sizes = Sizes(events, backlog, peer_records, runs, shards)
    for so_far in contest(chosen, workloads, sizes, _report):
        keep(results, "contest", so_far)


@app.command("kcl")
def run_kcl(
    events: Annotated[int, typer.Option(min=1, help="Events on the stream, skewed.")] = 12_000,
    runs: Annotated[int, typer.Option(min=1, help="Runs of each contender, alternating.")] = 5,
    shards: Annotated[int, typer.Option(min=1, help="Shards of the stream.")] = 4,
    results: Results = LATEST,
) -> None:
    """Kinfold's KCL source and kclpy's sample processor, both behind Amazon's MultiLangDaemon."""
    for so_far in contest(ON_KCL, ["skewed"], Sizes(events, events, events, runs, shards), _report):
        keep(results, "kcl", so_far)


@app.command("alone")
def run_alone(
    sizes: Annotated[str, typer.Option(help="Events of each run from memory.")] = "1000,10000,100000,1000000",
    runs: Annotated[int, typer.Option(min=1, help="Runs of each size.")] = 3,
    loads_of: Annotated[str, typer.Option("--loads", help="Events of each account loaded.")] = "10,100,1000,100000",
    rebuilds: Annotated[str, typer.Option("--rebuild", help="Events of each table rebuilt from.")] = "1000,10000,50000",
    results: Results = LATEST,
) -> None:
    """Kinfold alone: decoding, the projector with AWS from memory, appends, loads, rebuilds."""
    streams, accounts, tables = _sizes(sizes), _sizes(loads_of), _sizes(rebuilds)
    keep(results, "decoding", decoding(50_000, 5, _report))
    keep(results, "projecting", projecting(streams, runs, _report))
    keep(results, "appends", appends(200, _report))
    keep(results, "loads", {"sizes": loads(accounts, _report)})
    keep(results, "rebuild", {"sizes": {str(size): rebuild(size, _report) for size in tables}})


@app.command("writer")
def run_writer(
    runs: Annotated[int, typer.Option(min=1, help="Runs of each contender, alternating.")] = 5,
    seconds: Annotated[float, typer.Option(min=1, max=600, help="Seconds of each case of a run.")] = 4,
    accounts: Annotated[
        str, typer.Option(help=f"Events of each account whose costs are counted, multiples of {MORE}.")
    ] = LENGTHS,
    results: Results = LATEST,
) -> None:
    """Kinfold's writer beside a writer as usually written; and what an account costs while it grows."""
    lengths = _sizes(accounts, multiples_of=MORE)
    for so_far in writer_contest(runs, seconds, _report):
        keep(results, "writer", so_far)
    keep(results, "account-costs", account_costs(lengths, _report))


@app.command("console")
def run_console(
    events: Annotated[int, typer.Option(min=200, help="Events of the long history.")] = 100_000,
    runs: Annotated[int, typer.Option(min=1, help="Warm requests of each screen.")] = 30,
    seconds: Annotated[float, typer.Option(min=1, max=600, help="Seconds for which tabs stay open.")] = 60,
    results: Results = LATEST,
) -> None:
    """The console's screens with a long history, and what it costs while tabs stay open."""
    keep(results, "console", console(events, runs, seconds, _report))


@app.command("backlog")
def run_backlog(
    events: Annotated[int, typer.Option(min=1_000, help="Events that wait on the stream.")] = 1_000_000,
    results: Results = LATEST,
) -> None:
    """A long backlog with AWS from memory: is the rate the same at its end, and the memory flat?"""
    keep(results, "backlog", backlog(events, _report))


@app.command("readings")
def run_readings(
    events: Annotated[int, typer.Option(min=1_000, help="Events in the table, on a thousand accounts.")] = 100_000,
    runs: Annotated[int, typer.Option(min=1, help="Runs of each.")] = 3,
    results: Results = LATEST,
) -> None:
    """Rebuild of every read model, and verify, with AWS from memory: CPU an event, and how often each is read."""
    keep(results, "readings", readings(events, runs, _report))


@app.command("delay")
def run_delay(
    appends: Annotated[int, typer.Option(min=1, help="How many appends are followed.")] = 200,
    shards: Annotated[int, typer.Option(min=1, help="Shards of the stream.")] = 2,
    results: Results = LATEST,
) -> None:
    """From an append's answer to the summary that shows it, on the embedded AWS, p50 and p99."""
    keep(results, "delay", delay(appends, shards, _report))


@app.command("demo")
def run_demo(
    events: Annotated[int, typer.Option(min=1, help="Events of each run.")] = 1_000,
    runs: Annotated[int, typer.Option(min=1, help="Runs of each, by turns.")] = 5,
    before: Annotated[str, typer.Option(help="The revision to compare with, by any name that git knows.")] = BEFORE,
    results: Results = LATEST,
) -> None:
    """`kinfold demo` of this tree and of an earlier revision: events a second, and the CPU of all their processes."""
    try:
        keep(results, "demo", demo(events, runs, before, _report))
    except RevisionError as error:
        raise typer.BadParameter(str(error)) from None


@app.command("profile")
def run_profile(
    events: Annotated[int, typer.Option(min=1_000, help="Events of the profiled run.")] = 60_000,
    results: Results = LATEST,
) -> None:
    """Which functions take the CPU time, with AWS from memory; microseconds an event, under the profiler."""
    keep(results, "profile", profile(events, _report))


@app.command("all")
def run_all(
    backlog_of: Annotated[int, typer.Option("--backlog-events", help="Events of the long backlog.")] = 1_000_000,
    runs: Annotated[int, typer.Option(min=1, help="Runs of each contender.")] = 5,
    peer_records: Annotated[int, typer.Option(min=1, help="Records that a peer handles, from the first on.")] = 800,
    results: Results = LATEST,
) -> None:
    """Everything at modest sizes, as `make bench` does, and the tables in the end."""
    results.unlink(missing_ok=True)
    run_contest(runs=runs, peer_records=peer_records, results=results)
    run_alone(results=results)
    run_readings(results=results)
    run_writer(results=results)
    run_console(seconds=10, results=results)
    run_delay(results=results)
    run_demo(results=results)
    run_backlog(events=backlog_of, results=results)
    run_profile(results=results)
    run_kcl(runs=runs, results=results)
    show_report(results=results)


@app.command("report")
def show_report(
    publish: Annotated[
        bool, typer.Option("--publish", help="Write them into docs/benchmarks.md, and the results beside it.")
    ] = False,
    results: Results = LATEST,
) -> None:
    """Render the tables of docs/benchmarks.md from a result file."""
    if not results.exists():
        raise typer.BadParameter(f"no results in {results}: run `make bench` first, or name a file by --results")
    tables = render(load(results))
    if not publish:
        typer.echo("\n\n".join(f"{name}\n\n{table}" for name, table in tables.items()))
        return
    PAGE.write_text(fill(PAGE.read_text(), tables))
    if results != PUBLISHED:
        PUBLISHED.write_bytes(results.read_bytes())


def _sizes(text: str, *, multiples_of: int = 1) -> list[int]:
    try:
        sizes = [int(size) for size in text.split(",")]
    except ValueError:
        sizes = []
    if not sizes or min(sizes) < 1:
        raise typer.BadParameter(f"{text!r} is no list of counts such as 1000,10000")
    if any(size % multiples_of for size in sizes):
        raise typer.BadParameter(f"{text!r}: each has to be a multiple of {multiples_of}")
    return sizes


def _known(names: Sequence[str] | None, all_names: Iterable[str]) -> list[str]:
    """The names that were given, or all; an unknown one is refused before anything runs."""
    known = list(all_names)
    for name in names or ():
        if name not in known:
            raise typer.BadParameter(f"{name!r} is unknown; there are {', '.join(known)}")
    return list(names or known)


@app.command(
    "kcl-drain", context_settings={"allow_extra_args": True, "ignore_unknown_options": True}, add_help_option=False
)
def kcl_drain(context: typer.Context) -> None:
    """Memory while KCL drains a backlog."""
    _run("bench.kcl.drain", context)


@app.command(
    "kcl-takeover", context_settings={"allow_extra_args": True, "ignore_unknown_options": True}, add_help_option=False
)
def kcl_takeover(context: typer.Context) -> None:
    """How long KCL takes to hand shards over."""
    _run("bench.kcl.takeover", context)


def _run(module: str, context: typer.Context) -> None:
    sys.argv[1:] = context.args
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    # As Ctrl-C does: the emulator, a contender and its Java are stopped on the way out.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    app(prog_name="python -m bench")
