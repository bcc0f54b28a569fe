"""``kinfold projector``: the projector's composition root."""

from typing import Annotated

import typer

from projector.cli import dead_letters, generations, rebuild, replay, status, verify

app = typer.Typer(
    no_args_is_help=True,
    epilog="Exit codes: 0 done, 1 failed, 2 bad settings or arguments, 3 a storm of halted aggregates, 4 something is "
    "wrong, 5 something waits, 6 another process is at work, 75 the endpoint does not answer.",
    help="Fold the stream of events into read models.\n\n"
    "[dim]$[/dim] kinfold projector run\n[dim]$[/dim] kinfold projector status",
)

app.add_typer(dead_letters.app, name="dead-letters")
app.add_typer(generations.app, name="generations")
app.command(epilog=rebuild.EPILOG)(rebuild.rebuild)
app.command(epilog=verify.EPILOG)(verify.verify)
app.command(epilog=replay.EPILOG)(replay.replay)
app.command(epilog=status.EPILOG)(status.status)


@app.command(
    epilog="Exit codes: 0 after a clean stop; 1 when a resource it needs is gone; 2 for bad settings; 3 when so many "
    "aggregates were halted within a minute that it must be a bad deploy; 75 when the endpoint did not come up."
)
def run(
    host: Annotated[str | None, typer.Option(help="Address to listen on; default KINFOLD_PROJECTOR_HOST.")] = None,
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="Port to listen on, 0 for a free one; default KINFOLD_PROJECTOR_PORT."),
    ] = None,
) -> None:
    """Run the projector. SIGTERM and Ctrl-C let it finish the batch in hand and checkpoint.

    It waits for the endpoint and for the tables and the stream that `kinfold bridge ensure` creates. Its web server
    answers GET /balances/{id}?min_version=V, GET /activity/{id}, /health, /ready and /metrics. An event that can never
    be applied becomes a dead letter and halts its own aggregate; see `kinfold projector dead-letters --help`.

    [dim]$[/dim] kinfold projector run
    [dim]$[/dim] KINFOLD_CONSUMER=kcl KINFOLD_WORKER_ID=projector-a kinfold projector run --host 0.0.0.0
    """
    import structlog

    from ledger.runtime.aws import Clients, wait_for_endpoint
    from ledger.runtime.logs import configure_logs
    from ledger.runtime.settings import load_settings
    from ledger.store.tables import Names
    from projector.app import build_app
    from projector.engine.provisioning import control_specs, prepare
    from projector.settings import ProjectorSettings
    from projector.worker import run_worker

    settings = load_settings(ProjectorSettings)
    configure_logs(settings.log_level, settings.log_format, quiet=("faust", "mode"))
    access, bound = settings.claim(
        settings.projector_host if host is None else host, settings.projector_port if port is None else port
    )
    clients = Clients(settings, connections=settings.aws_connections)

    def log_waiting(reason: str) -> None:
        structlog.get_logger(__name__).info("waiting", reason=reason)

    names = Names(settings.profile, settings.events_table)
    tables = [names.events, *(spec.name for spec in control_specs(names))]
    with bound, settings.tracing("kinfold-projector") as tracing:
        projector = build_app(settings, clients, access, bound, tracing)
        wait_for_endpoint(clients, settings.endpoint_timeout, log_waiting, tables, [names.stream])
        prepare(clients.dynamodb, names, projector.components.projections)
        projector.components.skips.load()
        with projector.components.guard.watching():
            run_worker(projector)
