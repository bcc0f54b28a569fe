"""``kinfold bridge relay``."""

import asyncio
from typing import TYPE_CHECKING, Final

import structlog

from ledger.runtime.start_signals import STOP_SIGNALS
from stream_bridge.cli.options import Host, Port

if TYPE_CHECKING:
    from ledger.runtime.aws import Clients
    from stream_bridge.relay.health import RelayHealth
    from stream_bridge.settings import RelaySettings

log = structlog.get_logger(__name__)

#: Connections for its calls: a read of every shard, and of histories, may be under way at once.
_CONNECTIONS: Final = 32
EPILOG: Final = (
    "Exit codes: 0 stopped by SIGTERM or Ctrl-C, 1 failed for good (the message says why), 2 bad settings, 75 the "
    "endpoint does not answer (try again)."
)


def relay(host: Host = None, port: Port = None) -> None:
    """Carry the events table's DynamoDB Stream to the Kinesis stream until SIGTERM or Ctrl-C.

    Each aggregate's events come on one shard, and in order: an event that the stream shows too early waits for the
    earlier ones, which are read from the event store. Records come at least once.

    One relay a table is active. A second one waits, says so on /ready, and takes over at once when the first stops, or
    after KINFOLD_FAILOVER_TIME when it falls silent. Give each its own stable KINFOLD_WORKER_ID; a restarted relay
    takes its own lease back at once.

    Use it with KINFOLD_BRIDGE=relay, so that `bridge ensure` leaves the native destination off.

    [dim]$[/dim] KINFOLD_BRIDGE=relay kinfold bridge ensure --shards 4
    [dim]$[/dim] KINFOLD_WORKER_ID=relay-a kinfold bridge relay --port 6067
    """
    from ledger.runtime.aws import Clients
    from ledger.store.table_identity import TableGuard, TableIdentities
    from ledger.store.tables import Names
    from stream_bridge.cli.context import listen, load, wait_for_tables
    from stream_bridge.daemon_http import serving
    from stream_bridge.relay.health import RelayHealth
    from stream_bridge.settings import RelaySettings

    settings, health = load(RelaySettings), RelayHealth()
    names, clients = Names(settings.profile, settings.events_table), Clients(settings, connections=_CONNECTIONS)
    guard = TableGuard(TableIdentities(clients.dynamodb, names))
    with serving(health, *listen(settings, host, port), guard):
        wait_for_tables(settings, clients, names.events, names.relay, streams=[names.stream])
        with guard.watching():
            asyncio.run(_run(settings, health, clients))
    log.info("stopped")


async def _run(settings: "RelaySettings", health: "RelayHealth", clients: "Clients") -> None:
    from ledger.runtime.aws import Clients
    from stream_bridge.relay.daemon import build_relay
    from stream_bridge.relay.leader_lease import put_timeouts

    connect, answer = put_timeouts(settings.failover_time)
    prompt = Clients(settings, attempts=1, connect_timeout=connect, read_timeout=answer)
    with build_relay(settings, health, clients, prompt) as relay:
        for number in STOP_SIGNALS:
            asyncio.get_running_loop().add_signal_handler(number, relay.stop)
        await relay.run()
