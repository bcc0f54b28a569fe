"""``kinfold bridge relay``: the composition root of the relay."""

import asyncio
import signal
import time
from typing import TYPE_CHECKING, Annotated, Final

import typer

if TYPE_CHECKING:
    from types import FrameType

    from ledger.runtime.aws import Clients
    from stream_bridge.relay.health import RelayHealth
    from stream_bridge.settings import RelaySettings

STOP_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)
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
    from ledger.runtime.aws import Clients, wait_for_endpoint, wait_for_tables
    from ledger.runtime.logs import configure_logs
    from ledger.runtime.settings import load_settings
    from ledger.runtime.sockets import bind
    from ledger.store.tables import Names
    from stream_bridge.cli.context import report
    from stream_bridge.daemon_http import serving
    from stream_bridge.relay.health import RelayHealth
    from stream_bridge.settings import RelaySettings

    for number in STOP_SIGNALS:
        signal.signal(number, _exit)
    settings = load_settings(RelaySettings)
    configure_logs(settings.log_level, settings.log_format)
    host = settings.bridge_host if host is None else host
    access = settings.guard(host)
    health = RelayHealth()
    with serving(health, access, bind(host, settings.bridge_port if port is None else port)):
        clients, names = Clients(settings), Names(settings.profile)
        deadline = time.monotonic() + settings.endpoint_timeout
        wait_for_endpoint(clients, settings.endpoint_timeout, report)
        wait_for_tables(clients, [names.events, names.relay], max(0.0, deadline - time.monotonic()), report)
        asyncio.run(_run(settings, health, clients))


def _exit(number: int, frame: "FrameType | None") -> None:  # noqa: ARG001
    """Before the relay begins, nothing is held that would have to be given back."""
    raise SystemExit(0)


async def _run(settings: "RelaySettings", health: "RelayHealth", clients: "Clients") -> None:
    from ledger.runtime.aws import Clients
    from stream_bridge.relay.assembly import build_relay
    from stream_bridge.relay.leader_lease import put_timeouts

    connect, answer = put_timeouts(settings.failover_time)
    prompt = Clients(settings, attempts=1, connect_timeout=connect, read_timeout=answer)
    with build_relay(settings, health, clients, prompt) as relay:
        for number in STOP_SIGNALS:
            asyncio.get_running_loop().add_signal_handler(number, relay.stop)
        await relay.run()
