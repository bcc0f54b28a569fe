"""``kinfold load``: a load on a running writer, with a progress bar."""

import json
from typing import TYPE_CHECKING, Annotated, Final

import typer

from kinfold.choices import DomainOption, services
from ledger.runtime.cli_input import bearer_token, http_url

if TYPE_CHECKING:
    from kinfold.load.tally import LoadResult

#: The writer where nothing else is known.
DEFAULT_WRITER: Final = "http://127.0.0.1:8080"


def load(
    context: typer.Context,
    url: Annotated[
        str | None,
        typer.Option(
            show_default=False,
            callback=http_url,
            help=f"The writer; without it that of a running `kinfold up`, else {DEFAULT_WRITER}.",
        ),
    ] = None,
    aggregates: Annotated[
        int, typer.Option(min=1, max=100_000, help="How many aggregates; a few get most commands.")
    ] = 100,
    events: Annotated[int, typer.Option(min=1, help="How many events to append.")] = 2000,
    writers: Annotated[int, typer.Option(min=1, max=256, help="How many clients at once.")] = 8,
    seed: Annotated[int, typer.Option(help="The same seed makes the same commands.")] = 0,
    domain: DomainOption = "betting",
    token: Annotated[
        str | None,
        typer.Option(
            envvar="KINFOLD_TOKEN", callback=bearer_token, help="A token with the scope write, where one is needed."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")] = False,
) -> None:
    """Send a domain's made-up commands to a running writer.

    Runs until the events are appended, on aggregates that are new in every run. Some commands are refused on purpose. A
    command whose answer is lost is sent again with its Idempotency-Key, and counts once.

    [dim]$[/dim] kinfold load
    [dim]$[/dim] kinfold load --events 10000 --writers 16
    """
    from kinfold.load.runner import LoadPlan, run_load
    from ledger.runtime.progress_bar import ProgressBars

    url = url or services(context).get("writer", DEFAULT_WRITER)
    plan = LoadPlan(aggregates=aggregates, events=events, writers=writers, seed=seed, token=token, domain=domain)
    with ProgressBars() as progress:
        progress.begin("events", "appended", events, 0)
        result = run_load(url, plan, lambda so_far: progress.advance("events", so_far.appended))
    if as_json:
        typer.echo(json.dumps({"url": url, "prefix": plan.prefix, **result.to_json()}))
    else:
        _print(url, plan.prefix, result)


def _print(url: str, prefix: str, result: "LoadResult") -> None:
    typer.echo(
        f"{result.appended} events on {len(result.versions)} aggregates ({prefix}-...) of {url}\n"
        f"in {result.seconds:.1f} s: {result.rate:.0f} a second, median {result.latency_p50_ms:.1f} ms, "
        f"99 % under {result.latency_p99_ms:.1f} ms\n"
        f"refused {result.refused}, conflicts {result.conflicts}, unavailable {result.unavailable}, "
        f"answers lost {result.lost}, replayed {result.replayed}, unknown {result.unknown}"
    )
