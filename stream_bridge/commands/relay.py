"""``kinfold bridge relay``: the composition root of the relay."""

import asyncio
import platform
import signal
import time
from typing import TYPE_CHECKING, Annotated, Final

import typer

if TYPE_CHECKING:
    from faust_kinesis.calls import Calls
    from stream_bridge.relay import Relay
    from stream_bridge.relay_view import RelayView
    from stream_bridge.settings import RelaySettings

EPILOG: Final = (
    "Exit codes: 0 stopped by SIGTERM or Ctrl-C, 1 failed for good (the message says why), 2 bad settings, 75 the "
    "endpoint does not answer (try again)."
)


def relay(
    host: Annotated[str | None, typer.Option(help="Address to listen on; default KINFOLD_BRIDGE_HOST.")] = None,
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="Port to listen on, 0 for a free one; default KINFOLD_BRIDGE_PORT."),
    ] = None,
) -> None:
    """Carry the events table's DynamoDB Stream to the Kinesis stream until SIGTERM or Ctrl-C.

    Each account's events come on one shard, and in order: an event that the stream shows too early waits for the
    earlier ones, which are read from the event store. Records come at least once.

    One relay a table is active. A second one waits, says so on /ready, and takes over at once when the first stops, or
    after KINFOLD_FAILOVER_TIME when it falls silent. Give each its own stable KINFOLD_WORKER_ID; a restarted relay
    takes its own lease back at once.

    Use it with KINFOLD_BRIDGE=relay, so that `bridge ensure` leaves the native destination off.

    [dim]$[/dim] KINFOLD_BRIDGE=relay kinfold bridge ensure --shards 4
    [dim]$[/dim] KINFOLD_WORKER_ID=relay-a kinfold bridge relay --port 6067
    """
    from ledger.aws import Clients, wait_for_endpoint, wait_for_tables
    from ledger.logs import configure_logs
    from ledger.settings import load_settings
    from ledger.tables import Names
    from stream_bridge.composition import tell
    from stream_bridge.relay_view import RelayView
    from stream_bridge.settings import RelaySettings
    from stream_bridge.web import bind, serving

    settings = load_settings(RelaySettings)
    configure_logs(settings.log_level, settings.log_format, quiet=("tenacity",))
    host = settings.bridge_host if host is None else host
    access = settings.guard(host)
    view = RelayView()
    with serving(view, access, bind(host, settings.bridge_port if port is None else port)):
        clients, names = Clients(settings), Names(settings.profile)
        deadline = time.monotonic() + settings.endpoint_timeout
        wait_for_endpoint(clients, settings.endpoint_timeout, tell)
        wait_for_tables(clients, [names.events, names.relay], max(0.0, deadline - time.monotonic()), tell)
        asyncio.run(_run(settings, view))


async def _run(settings: "RelaySettings", view: "RelayView") -> None:
    from faust_kinesis.calls import Calls
    from ledger.errors import TransientError

    pools = {
        name: Calls(threads, name, witness=view)
        for name, threads in (("relay-read", 8), ("relay-lease", 4), ("relay-put", 2))
    }
    pools["relay-store"] = Calls(
        8, "relay-store", witness=view, transient=lambda error: isinstance(error, TransientError)
    )
    relay = _build(settings, view, pools)
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, relay.stop)
    try:
        await relay.run()
    finally:
        for calls in pools.values():
            calls.close()


def _build(settings: "RelaySettings", view: "RelayView", pools: "dict[str, Calls]") -> "Relay":
    from faust_kinesis.leases import LeaseTable
    from ledger.aws import Clients
    from ledger.event_store import EventStore
    from ledger.tables import Names
    from stream_bridge.carrier import Carrier
    from stream_bridge.relay import Parts, Relay
    from stream_bridge.relay_lease import RelayLease, Term, put_timeouts
    from stream_bridge.stored_events import StoredEvents
    from stream_bridge.table_stream import TableStream

    names, worker_id = Names(settings.profile), settings.worker_id or platform.node()
    clients = Clients(settings)
    # What must end while the lease holds: puts, and writes to the lease itself.
    connect, answer = put_timeouts(settings.failover_time)
    prompt = Clients(settings, attempts=1, connect_timeout=connect, read_timeout=answer)
    table = LeaseTable(prompt.dynamodb, names.relay)
    stored = StoredEvents(EventStore(clients.dynamodb, names.events), pools["relay-store"])

    def carrier(term: Term) -> Carrier:
        return Carrier(
            stream=names.stream,
            table=names.events,
            region=settings.region,
            term=term,
            kinesis=prompt.kinesis,
            puts=pools["relay-put"],
            stored=stored,
            view=view,
        )

    return Relay(
        Parts(
            stream=TableStream(clients.dynamodb, clients.dynamodbstreams, names.events, pools["relay-read"]),
            table=table,
            lease=RelayLease(table, pools["relay-lease"], worker_id, settings.failover_time),
            leases=pools["relay-lease"],
            view=view,
            worker_id=worker_id,
            failover_time=settings.failover_time,
            carrier=carrier,
        )
    )
