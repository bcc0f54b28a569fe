"""``kinfold writer``: the composition root of the writer, the only place that reads its environment."""

from typing import Annotated, Final

import typer

#: Beside one for each thread: the probes of /ready and the thread that writes snapshots wait for no command's.
_OTHER_CONNECTIONS: Final = 5

app = typer.Typer(no_args_is_help=True, epilog="Exit codes: 0 stopped, 1 failed, 2 bad settings, 75 no endpoint.")


@app.callback()
def _writer() -> None:
    """The writer: commands in over HTTP, events out.

    [dim]$[/dim] kinfold writer serve
    """


@app.command(
    epilog="Exit codes: 0 stopped by SIGTERM or Ctrl-C; 1 a table is missing or a call is refused; 2 bad settings or "
    "arguments; 75 the endpoint did not come up."
)
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on; default KINFOLD_WRITER_HOST.")] = None,
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="Port to listen on, 0 for a free one; default KINFOLD_WRITER_PORT."),
    ] = None,
) -> None:
    """Serve the HTTP API until SIGTERM or Ctrl-C, then answer what was accepted and exit 0.

    Waits for the endpoint and the tables first, as long as KINFOLD_ENDPOINT_TIMEOUT says.

    [dim]$[/dim] kinfold writer serve
    [dim]$[/dim] kinfold writer serve --host 0.0.0.0 --port 80
    """
    import structlog

    from ledger.aggregates.domain import load_domain
    from ledger.runtime.aws import Clients, wait_for_endpoint
    from ledger.runtime.logs import configure_logs
    from ledger.runtime.serving.asgi_process import serve_until_stopped
    from ledger.runtime.settings import load_settings
    from ledger.runtime.sockets import address
    from ledger.store.event_store import EventStore
    from ledger.store.idempotency_keys import IdempotencyKeys
    from ledger.store.snapshots import SnapshotStore
    from ledger.store.table_identity import CLOSE_INTERVAL, TableGuard, TableIdentities
    from ledger.store.tables import Names
    from writer.commands.aggregate_repository import AggregateRepository
    from writer.commands.snapshot_writer import SnapshotWriter
    from writer.http.app import build_api
    from writer.metrics import Metrics
    from writer.resource import Resource
    from writer.settings import WriterSettings

    log = structlog.get_logger(__name__)
    settings = load_settings(WriterSettings)
    configure_logs(settings.log_level, settings.log_format)
    access, bound = settings.claim(
        settings.writer_host if host is None else host, settings.writer_port if port is None else port
    )
    resources = load_domain(settings.domain).parts("RESOURCES", Resource)
    limits = settings.limits(settings.writer_threads + _OTHER_CONNECTIONS)
    clients = Clients(
        settings,
        connections=settings.writer_threads + _OTHER_CONNECTIONS,
        attempts=2,
        read_timeout=settings.writer_read_timeout,
    )
    names, metrics = Names(settings.profile, settings.events_table), Metrics()
    guard = TableGuard(TableIdentities(clients.dynamodb, names), interval=CLOSE_INTERVAL)
    guard.expose(metrics.registry)
    store = EventStore(
        clients.dynamodb,
        names.events,
        retry_seconds=settings.writer_patience,
        guard=guard.check,
        table_id=guard.table_id,
    )
    snapshots = SnapshotWriter(
        SnapshotStore(clients.dynamodb, names.snapshots), metrics, interval=settings.snapshot_interval
    )
    keys = IdempotencyKeys(clients.dynamodb, names.commands, retention=settings.writer_key_retention)

    def log_waiting(reason: str) -> None:
        log.info("waiting", reason=reason)

    def log_serving() -> None:
        log.info(
            "serving",
            url=address(bound),
            table=names.events,
            endpoint=clients.endpoint,
            access="open" if access.open else "tokens",
        )

    with bound:
        tables = [names.events, names.snapshots, names.commands]
        wait_for_endpoint(clients, settings.endpoint_timeout, log_waiting, tables)
        repository = AggregateRepository(store, snapshots, held=settings.writer_aggregates)
        with settings.tracing("kinfold-writer") as tracing, guard.watching():
            api = build_api(resources, repository, keys, settings, access, metrics, tracing)
            serve_until_stopped(api, bound, limits, drain_timeout=settings.writer_drain_timeout, on_start=log_serving)
    log.info("stopped")
