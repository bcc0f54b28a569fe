"""``kinfold bridge watch``: the composition root of the watch."""

import asyncio
import signal
import threading
import time
from functools import partial
from typing import TYPE_CHECKING, Annotated, Final

import typer

if TYPE_CHECKING:
    from aws_client.call_pool import CallPool
    from ledger.runtime.aws import Clients
    from ledger.store.tables import Names
    from stream_bridge.settings import WatchSettings
    from stream_bridge.watch.daemon import Watch

EPILOG: Final = (
    "Exit codes: 0 stopped by SIGTERM or Ctrl-C, 2 bad settings, 75 the endpoint does not answer at start (try again)."
)
#: Threads for its calls: a read of every shard of both streams may be under way at once.
_THREADS: Final = 16


def watch(
    repair: Annotated[
        bool, typer.Option("--repair/--no-repair", help="Enable the destination and put what is missing, or only look.")
    ] = True,
    host: Annotated[str | None, typer.Option(help="Address to listen on; default KINFOLD_BRIDGE_HOST.")] = None,
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="Port to listen on, 0 for a free one; default KINFOLD_BRIDGE_PORT."),
    ] = None,
) -> None:
    """See to it that every event of the table is on the stream, until SIGTERM or Ctrl-C.

    Looks at table, stream and streaming destination every KINFOLD_WATCH_INTERVAL seconds and enables a destination
    that fell off. Compares what the table took with what the stream shows, event by event; what is missing for longer
    than KINFOLD_WATCH_GRACE seconds is put on the stream from the table. /ready says whether all is well.

    It does nothing that a person holds back: `kinfold bridge hold`, --no-repair, or a destination that is disabled
    again soon after it was enabled. With KINFOLD_BRIDGE=relay it looks and tells; the relay brings what is late.

    [dim]$[/dim] kinfold bridge watch --port 6068
    """
    from ledger.runtime.aws import Clients, wait_for_endpoint, wait_for_tables
    from ledger.runtime.logs import configure_logs
    from ledger.runtime.settings import load_settings
    from ledger.runtime.sockets import bind
    from ledger.store.tables import Names
    from stream_bridge.cli.context import report
    from stream_bridge.daemon_http import serving
    from stream_bridge.settings import WatchSettings

    settings = load_settings(WatchSettings)
    configure_logs(settings.log_level, settings.log_format)
    host = settings.bridge_host if host is None else host
    access = settings.guard(host)
    with bind(host, settings.bridge_port if port is None else port) as bound:
        clients, names = Clients(settings, connections=_THREADS + 4), Names(settings.profile)
        deadline = time.monotonic() + settings.endpoint_timeout
        wait_for_endpoint(clients, settings.endpoint_timeout, report)
        wait_for_tables(clients, [names.bridge], max(0.0, deadline - time.monotonic()), report)
        halt = threading.Event()
        built, calls = _build(settings, clients, names, halt, repair=repair)
        with serving(built, access, bound):
            asyncio.run(_run(built, calls, halt))


async def _run(built: "Watch", calls: "CallPool", halt: threading.Event) -> None:
    stop = asyncio.Event()

    def end() -> None:
        halt.set()
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, end)
    try:
        await built.run(stop)
    finally:
        calls.close()


def _build(
    settings: "WatchSettings", clients: "Clients", names: "Names", halt: threading.Event, *, repair: bool
) -> "tuple[Watch, CallPool]":
    from aws_client.call_pool import CallPool
    from stream_bridge.backfill.progress import BackfillStore
    from stream_bridge.backfill.publisher import Publisher
    from stream_bridge.cli.context import report
    from stream_bridge.dynamodb_stream import TableStream
    from stream_bridge.watch.daemon import Watch, WatchOptions
    from stream_bridge.watch.destination_health import Inspector
    from stream_bridge.watch.followers import StreamTail, TableTail
    from stream_bridge.watch.republish import Republisher
    from stream_bridge.watch.watermark import WatermarkStore

    calls = CallPool(_THREADS, "watch")
    publisher = Publisher(clients.kinesis, names.stream, names.events, settings.region, halt)
    built = Watch(
        WatchOptions(
            interval=settings.watch_interval,
            grace=settings.watch_grace,
            poll=settings.watch_poll,
            native=settings.bridge == "native",
            repair=repair,
        ),
        Inspector(clients, names, settings.active_timeout, report),
        Republisher(clients.dynamodb, names.events, publisher, BackfillStore(clients.dynamodb, names.bridge)),
        WatermarkStore(clients.dynamodb, names.bridge),
        partial(TableTail, TableStream(clients.dynamodb, clients.dynamodbstreams, names.events, calls)),
        partial(StreamTail, clients.kinesis, calls, names.stream, names.events),
        calls,
    )
    return built, calls
