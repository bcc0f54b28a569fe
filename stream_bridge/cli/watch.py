"""``kinfold bridge watch``."""

import asyncio
import threading
from functools import partial
from typing import TYPE_CHECKING, Annotated, Final

import structlog
import typer

from ledger.runtime.start_signals import STOP_SIGNALS
from stream_bridge.cli.options import Host, Port

if TYPE_CHECKING:
    from aws_client.call_pool import CallPool
    from ledger.runtime.aws import Clients
    from ledger.store.tables import Names
    from stream_bridge.settings import WatchSettings
    from stream_bridge.watch.daemon import Watch

log = structlog.get_logger(__name__)

EPILOG: Final = (
    "Exit codes: 0 stopped by SIGTERM or Ctrl-C, 2 bad settings, 75 the endpoint does not answer at start (try again)."
)
#: Threads for its calls: a read of every shard of both streams may be under way at once.
_THREADS: Final = 16


def watch(
    repair: Annotated[
        bool, typer.Option("--repair/--no-repair", help="Enable the destination and put what is missing, or only look.")
    ] = True,
    host: Host = None,
    port: Port = None,
) -> None:
    """Make sure that every event of the table reaches the stream, until SIGTERM or Ctrl-C.

    Looks at table, stream and streaming destination every KINFOLD_WATCH_INTERVAL seconds and enables a destination
    that fell off. Compares what the table took with what the stream shows, event by event; what is missing for longer
    than KINFOLD_WATCH_GRACE seconds is put on the stream from the table. /ready says whether all is well.

    It repairs nothing that a person holds back: `kinfold bridge hold`, --no-repair, or a destination that is disabled
    again soon after it was enabled. With KINFOLD_BRIDGE=relay it only reports; the relay delivers what is late.

    [dim]$[/dim] kinfold bridge watch --port 6068
    """
    from ledger.runtime.aws import Clients
    from ledger.store.table_identity import TableGuard, TableIdentities
    from ledger.store.tables import Names
    from stream_bridge.cli.context import listen, load, wait_for_tables
    from stream_bridge.daemon_http import serving
    from stream_bridge.settings import WatchSettings

    settings = load(WatchSettings)
    access, bound, limits = listen(settings, host, port)
    with bound:
        names = Names(settings.profile, settings.events_table)
        clients = Clients(settings, connections=_THREADS + 4)
        wait_for_tables(settings, clients, names.bridge)
        guard = TableGuard(TableIdentities(clients.dynamodb, names))
        stopping = threading.Event()
        built, calls = _build(settings, clients, names, stopping, repair=repair)
        with guard.watching(), serving(built, access, bound, limits, guard):
            asyncio.run(_run(built, calls, stopping))
    log.info("stopped")


async def _run(built: "Watch", calls: "CallPool", stopping: threading.Event) -> None:
    stop = asyncio.Event()

    def end() -> None:
        stopping.set()
        stop.set()

    for number in STOP_SIGNALS:
        asyncio.get_running_loop().add_signal_handler(number, end)
    try:
        await built.run(stop)
    finally:
        calls.close()


def _build(
    settings: "WatchSettings", clients: "Clients", names: "Names", stopping: threading.Event, *, repair: bool
) -> "tuple[Watch, CallPool]":
    from aws_client.call_pool import CallPool
    from stream_bridge.backfill.progress import BackfillStore
    from stream_bridge.backfill.publisher import Publisher
    from stream_bridge.cli.context import log_waiting
    from stream_bridge.dynamodb_stream import TableStream
    from stream_bridge.watch.daemon import Watch, WatchOptions
    from stream_bridge.watch.destination_health import Inspector
    from stream_bridge.watch.followers import StreamTail, TableTail
    from stream_bridge.watch.republish import Republisher
    from stream_bridge.watch.watermark import WatermarkStore

    calls = CallPool(_THREADS, "watch")
    publisher = Publisher(clients.kinesis, names.stream, names.events, settings.region, stopping)
    built = Watch(
        WatchOptions(
            interval=settings.watch_interval,
            grace=settings.watch_grace,
            poll=settings.watch_poll,
            native=settings.bridge == "native",
            repair=repair,
        ),
        Inspector(clients, names, settings.active_timeout, log_waiting),
        Republisher(clients.dynamodb, names.events, publisher, BackfillStore(clients.dynamodb, names.bridge)),
        WatermarkStore(clients.dynamodb, names.bridge),
        partial(TableTail, TableStream(clients.dynamodb, clients.dynamodbstreams, names.events, calls)),
        partial(StreamTail, clients.kinesis, calls, names.stream, names.events),
        calls,
    )
    return built, calls
