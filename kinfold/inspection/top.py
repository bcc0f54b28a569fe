"""``kinfold top``: how the ledger does, drawn anew in the terminal."""

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Final

import typer

from kinfold.choices import services
from ledger.runtime.cli_input import bearer_token, http_url

if TYPE_CHECKING:
    from rich.console import Console

    from console.looking.service_metrics import ServiceMetrics
    from projector.status.status import Status

EPILOG: Final = (
    "Exit codes: 0 ended with q, or --once and healthy; --once also 4 and 5 as `kinfold projector status`; 1 there is "
    "no stream or table; 2 bad settings; 75 the endpoint does not answer; 130 Ctrl-C."
)
#: Seconds over which --once measures.
_MEASURED: Final = 1.0


def top(
    context: typer.Context,
    every: Annotated[float, typer.Option(min=0.2, max=3600, help="Seconds between two looks.")] = 1,
    once: Annotated[bool, typer.Option("--once", help="Print one frame; so does a pipe.")] = False,
    writer_url: Annotated[
        str | None,
        typer.Option(callback=http_url, show_default=False, help="The writer; without it that of `kinfold up`."),
    ] = None,
    projector_url: Annotated[
        str | None,
        typer.Option(callback=http_url, show_default=False, help="The projector; without it that of `kinfold up`."),
    ] = None,
    token: Annotated[
        str | None,
        typer.Option(
            envvar="KINFOLD_TOKEN",
            callback=bearer_token,
            help="A token with the scope operate, for the metrics of guarded services.",
        ),
    ] = None,
) -> None:
    """Show live how the ledger does: events a second, lag, shards and who reads them, dead letters, the verdict.

    What `kinfold projector status` says, beside what writer and projector count. The figures of a second need their
    URLs; all else is read from AWS, also when no service lives. `q` and Ctrl-C end it.

    [dim]$[/dim] kinfold top
    [dim]$[/dim] kinfold top --once | tail -1
    """
    from rich.console import Console

    from console.looking.latest import Latest
    from console.looking.overview import status_of
    from console.looking.service_metrics import ServiceMetrics
    from kinfold.inspection.live_view import live, on_terminal
    from ledger.runtime.cli_output import output, print_line
    from ledger.runtime.logs import in_json
    from projector.cli.context import operator
    from projector.cli.status import exit_code

    known = services(context)
    urls = (writer_url or known.get("writer"), projector_url or known.get("projector"))
    metrics = ServiceMetrics([url for url in urls if url is not None], token or "")
    with operator() as components:
        watched = Latest(lambda: status_of(components), _in_thread, period=every)
        with Console(stderr=True, quiet=in_json()).status("reading ..."):
            status = watched.look()
        if once or not on_terminal():
            metrics.read()
            time.sleep(_MEASURED)
            metrics.read()
            draw(output(), status, metrics)
            if code := exit_code(status):
                raise typer.Exit(code)
            return

        def drawn(console: "Console") -> None:
            metrics.read()
            draw(console, watched.last(), metrics)
            if watched.error is not None:
                print_line(console, f"as of {watched.age:.0f} s ago, since {watched.error}", "red")

        live(drawn, every)


def draw(console: "Console", status: "Status | None", metrics: "ServiceMetrics") -> None:
    """One frame."""
    from ledger.runtime.cli_output import print_line
    from projector.cli.status import print_status

    appended = _rate(metrics.rate("kinfold_writer_events_total", over=0))
    # Each event is in several read models: by the one that takes most of them.
    applied = _rate(metrics.rate("kinfold_projector_applied_total", max, over=0))
    lag = f"{status.oldest_unread.total_seconds():,.1f} s" if status is not None else "-"
    print_line(console, f"{appended} appended, {applied} applied, lag {lag}")
    for service in metrics.services:
        if service.guarded:
            cure = "--token or KINFOLD_TOKEN; `kinfold token NAME --scope operate` makes one"
            print_line(console, f"{service.url} asks for a token with the scope operate: {cure}", "yellow")
    if status is not None:
        print_status(console, status)


def _rate(events: float | None) -> str:
    return f"{events:,.0f}/s" if events is not None else "-/s"


def _in_thread(read: Callable[[], None]) -> None:
    """A look may take as long as a reader's lease lives; nobody who leaves waits for it."""
    threading.Thread(target=read, name="status", daemon=True).start()
