"""``kinfold top``: how the ledger does, drawn anew in the terminal."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Final

import typer

from kinfold.choices import services
from ledger.runtime.cli_input import bearer_token, http_url

if TYPE_CHECKING:
    from rich.console import Console

    from projector.components import Components
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

    from kinfold.inspection.live_view import live, on_terminal
    from ledger.runtime.cli_output import output
    from ledger.runtime.logs import in_json
    from projector.cli.context import operator
    from projector.cli.status import exit_code

    known = services(context)
    urls = (writer_url or known.get("writer"), projector_url or known.get("projector"))
    with operator() as components:
        rates = Rates(*urls, token)
        watched = StatusWatch(components)
        with Console(stderr=True, quiet=in_json()).status("reading ..."):
            watched.look()
        if once or not on_terminal():
            rates.measure()
            time.sleep(_MEASURED)
            rates.measure()
            draw(output(), watched, rates)
            if (status := watched.status) is not None and (code := exit_code(status)):
                raise typer.Exit(code)
            return
        threading.Thread(target=watched.keep_looking, args=(every,), name="status", daemon=True).start()

        def drawn(console: "Console") -> None:
            rates.measure()
            draw(console, watched, rates)

        live(drawn, every)


def draw(console: "Console", watched: "StatusWatch", rates: "Rates") -> None:
    """One frame."""
    from ledger.runtime.cli_output import print_line
    from projector.cli.status import print_status

    print_line(console, f"{rates.appended} appended, {rates.applied} applied, lag {watched.lag}")
    if rates.refusal is not None:
        print_line(console, f"no rates: {rates.refusal}", "yellow")
    if watched.status is not None:
        print_status(console, watched.status)
    if watched.failure is not None:
        print_line(console, f"as of {watched.age:.0f} s ago, since {watched.failure}", "red")


@dataclass(slots=True)
class _Rate:
    total: float | None = None
    at: float = 0.0
    text: str = "-/s"

    def take(self, total: float | None, now: float) -> None:
        known = total is not None and self.total is not None and total >= self.total and now > self.at
        self.text = f"{(total - self.total) / (now - self.at):,.0f}/s" if known else "-/s"  # type: ignore[operator]
        self.total, self.at = total, now


class Rates:
    """Events a second, by the counters of a writer and a projector; ``-/s`` of one that is unknown or silent.

    ``refusal``: why a service tells nothing to whoever asks, and what to do.
    """

    def __init__(
        self, writer: str | None, projector: str | None, token: str | None, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._writer, self._projector, self._token, self._now = writer, projector, token, now
        self._appended, self._applied = _Rate(), _Rate()
        self.refusal: str | None = None

    @property
    def appended(self) -> str:
        """What the writer has stored."""
        return self._appended.text

    @property
    def applied(self) -> str:
        """What the projector has folded into the read model that takes most."""
        return self._applied.text

    def measure(self) -> None:
        """Read the counters; the rates are those since the last time."""
        self.refusal = None
        self._appended.take(self._read(self._writer, "kinfold_writer_events"), self._now())
        self._applied.take(self._read(self._projector, "kinfold_projector_applied"), self._now())

    def _read(self, url: str | None, name: str) -> float | None:
        from kinfold.scrape import largest
        from ledger.errors import ConfigurationError, EndpointError

        if url is None:
            return None
        try:
            return largest(url, name, self._token)
        except ConfigurationError as error:
            self.refusal = str(error)
        except EndpointError:
            pass
        return None


class StatusWatch:
    """The projector's status, looked at again and again; a look may take as long as a reader's lease lives."""

    def __init__(self, components: "Components") -> None:
        self._components = components
        self._looked_at = time.monotonic()
        self.status: Status | None = None
        self.failure: str | None = None

    @property
    def age(self) -> float:
        """Seconds since the status was read."""
        return time.monotonic() - self._looked_at

    @property
    def lag(self) -> str:
        """The age of the oldest record that no projector has read."""
        if self.status is None:
            return "-"
        return f"{max((shard.unread.total_seconds() for shard in self.status.shards), default=0.0):,.1f} s"

    def look(self) -> None:
        """Read it. Raises as ``projector.status.status.read_status`` does."""
        from projector.status.status import read_status

        settings = self._components.settings
        self.status = read_status(
            self._components, self._components.projections, mode=settings.bridge, watch=settings.failover_time
        )
        self._looked_at, self.failure = time.monotonic(), None

    def keep_looking(self, every: float) -> None:
        """Look for ever; what fails is kept, to be shown beside the last status."""
        from ledger.errors import KinfoldError

        while True:
            time.sleep(every)
            try:
                self.look()
            except KinfoldError as error:
                self.failure = str(error)
