"""``kinfold demo``: the main job once, end to end, with the proof that every balance agrees."""

import contextlib
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Annotated, Any, Final

import typer
from cachetools import TTLCache, cached
from pydantic.alias_generators import to_camel

from kinfold.choices import BRIDGE_HELP, BridgeChoice, ConsumerOption, DomainOption
from kinfold.demo.audit import Audit, audit, disagreements
from kinfold.demo.disposable import delete_profile, disposable_profile
from kinfold.demo.raw_stream import order_violations, streamed_aggregates
from kinfold.load.runner import LoadPlan, run_load
from kinfold.load.tally import LoadResult
from kinfold.local.embedded_aws import local_aws
from kinfold.local.environment import service_clients
from kinfold.local.stack import Stack
from kinfold.scrape import counter, scrape
from ledger.aggregates.domain import load_domain
from ledger.errors import ConfigurationError
from ledger.runtime.cli_input import http_url
from ledger.runtime.cli_output import output, print_json, print_line, print_table, tell
from ledger.runtime.progress_bar import ProgressBars
from ledger.runtime.sockets import LOOPBACK
from ledger.store.event_store import EventStore
from ledger.store.tables import Names
from projector.projection import Projection


@dataclass(frozen=True, slots=True)
class Outcome:
    """The figures of one demo, as ``--json`` prints them; ``seconds`` from the first command to the last agreement.

    ``mismatched``: aggregates that some read model shows otherwise than their events fold. ``reordered``: those that
    the raw stream does not show complete, in order and on one shard; only a relay promises that, so it is None (and
    left out) for the native destination.
    """

    appended: int
    conflicts: int
    refused: int
    projected: int
    duplicates: int
    gaps_repaired: int
    aggregates: int
    mismatched: int
    seconds: float
    events_per_second: float
    reordered: int | None = None

    def figures(self) -> dict[str, int | float]:
        """Those that were measured, by name."""
        return {name: value for name, value in asdict(self).items() if value is not None}


#: No token was made for a profile that is new, on loopback, and gone in the end, whatever this environment has.
_OPEN: Final = {"KINFOLD_ACCESS": "off", "KINFOLD_TOKENS": ""}

#: Seconds between two looks at how far the projector is, each of which costs both 3 ms of CPU.
_LOOK_EVERY: Final = 0.5

app = typer.Typer(add_completion=False)


@app.command(
    epilog="Exit codes: 0 every read model agrees, 1 one does not or a service ended by itself, 2 bad settings, 75 the "
    "endpoint does not answer."
)
def demo(
    endpoint_url: Annotated[
        str | None,
        typer.Option(
            "--endpoint-url", callback=http_url, help="Use this endpoint; without it the embedded AWS is started."
        ),
    ] = None,
    aggregates: Annotated[
        int, typer.Option(min=1, max=10_000, help="How many aggregates; a few get most events.")
    ] = 40,
    events: Annotated[int, typer.Option(min=1, help="How many events to append.")] = 1000,
    writers: Annotated[int, typer.Option(min=1, max=64, help="How many clients race on them.")] = 8,
    shards: Annotated[int, typer.Option(min=1, max=64, help="Shards of the stream.")] = 2,
    domain: DomainOption = "betting",
    consumer: ConsumerOption = "polling",
    bridge: Annotated[BridgeChoice, typer.Option(help=BRIDGE_HELP)] = "native",
    seed: Annotated[int, typer.Option(help="The same seed makes the same commands.")] = 0,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the figures as one JSON object on standard output.")
    ] = False,
) -> None:
    """Append, stream, project, and prove that every read model agrees.

    Starts the bridge, the writer and the projector as processes on a profile of its own, sends the domain's made-up
    commands from several racing clients, waits until the projections have caught up, refolds every aggregate from the
    event store, and compares each with what readers get. With the relay, it also reads the raw stream: each aggregate
    on one shard and in order. Everything is stopped and deleted in the end.

    [dim]$[/dim] kinfold demo
    [dim]$[/dim] kinfold demo --endpoint-url http://127.0.0.1:4566 --shards 4 --events 5000
    """
    plan = LoadPlan(aggregates=aggregates, events=events, writers=writers, seed=seed, prefix="demo", domain=domain)
    projections = load_domain(domain).parts("PROJECTIONS", Projection)
    if not projections:
        raise ConfigurationError(f"domain {domain} brings no PROJECTIONS, so there is nothing to prove")
    profile = disposable_profile("demo-")
    # Before anything is started, in place of in the log of one of the services.
    service_clients(endpoint_url or f"http://{LOOPBACK}", profile)
    with contextlib.ExitStack() as cleanup:
        if endpoint_url is None:
            tell("the embedded AWS starts")
            endpoint_url = cleanup.enter_context(local_aws())
        endpoint = endpoint_url.rstrip("/")
        clients = service_clients(endpoint, profile)
        cleanup.callback(delete_profile, clients, profile)
        stack = cleanup.enter_context(
            Stack(
                endpoint,
                profile=profile,
                shards=shards,
                env={"KINFOLD_CONSUMER": consumer, "KINFOLD_DOMAIN": domain, **_OPEN},
                bridge=bridge,
                report=tell,
            )
        )
        names = Names(profile)
        store = EventStore(clients.dynamodb, names.events)
        outcome, audits = _run(stack, plan, store, projections, profile)
        reordered: list[str] = []
        if bridge == "relay":
            seen = streamed_aggregates(clients.kinesis, names.stream, names.events)
            reordered = order_violations(seen, {each.aggregate_id: each.stored for each in audits})
            outcome = replace(outcome, reordered=len(reordered))
    _report_faults(audits, reordered)
    if as_json:
        print_json({to_camel(name): value for name, value in outcome.figures().items()})
    else:
        _print(outcome, [each.name for each in projections])
    if outcome.mismatched or reordered:
        raise typer.Exit(1)


def _run(
    stack: Stack, plan: LoadPlan, store: EventStore, projections: Sequence[Projection[Any]], profile: str
) -> tuple[Outcome, list[Audit]]:
    """Load, wait until every read model has caught up, compare. The figures are of the first read model."""
    table = projections[0].table(profile, 1)

    @cached(TTLCache(maxsize=1, ttl=_LOOK_EVERY))
    def applied() -> int:
        return int(counter(stack.projector.url, "kinfold_projector_applied", table=table))

    start = time.monotonic()
    with ProgressBars() as progress:
        progress.begin("writer", "appending", plan.events, 0)
        progress.begin("projector", "applying", plan.events, 0)

        def show(so_far: LoadResult | None = None) -> None:
            stack.check()
            if so_far is not None:
                progress.advance("writer", so_far.appended)
            progress.advance("projector", applied())

        load = run_load(stack.writer.url, plan, show)
        audits = audit(store, projections, stack.projector.url, load.versions, show)
        seconds = time.monotonic() - start
        figures = scrape(stack.projector.url, table=table)
        progress.advance("projector", int(figures["kinfold_projector_applied"]))
    return Outcome(
        appended=load.appended,
        conflicts=int(counter(stack.writer.url, "kinfold_writer_conflicts")),
        refused=load.refused,
        projected=int(figures["kinfold_projector_applied"]),
        duplicates=int(figures["kinfold_projector_duplicates"]),
        gaps_repaired=int(figures["kinfold_projector_gaps_repaired"]),
        aggregates=len(load.versions),
        mismatched=len({each.aggregate_id for each in disagreements(audits)}),
        seconds=round(seconds, 1),
        events_per_second=round(load.appended / seconds, 1),
    ), audits


def _print(outcome: Outcome, projections: Sequence[str]) -> None:
    console = output()
    rows = [(name.replace("_", " "), str(value)) for name, value in outcome.figures().items()]
    print_table(console, "Kinfold: the main job, end to end", ("figure", "value"), rows)
    if outcome.reordered == 0:
        print_line(console, "reordered 0: the raw stream shows each complete, in order and on one shard")
    if not outcome.mismatched:
        print_line(
            console,
            f"mismatched 0: {' and '.join(projections)} equal the fold of the events of all {outcome.aggregates}",
        )


def _report_faults(audits: list[Audit], reordered: list[str]) -> None:
    for each in disagreements(audits):
        tell(
            f"{each.aggregate_id} in {each.projection}: the writer confirmed version {each.confirmed}, {each.stored} "
            f"events are stored; {each.difference or 'the rest is lost'}"
        )
    for fault in reordered:
        tell(f"on the raw stream, {fault}")
