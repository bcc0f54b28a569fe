"""A relay put together from clients and settings."""

import platform
from collections.abc import Iterator
from contextlib import contextmanager

from aws_client.call_pool import CallPool
from faust_kinesis.leases.table import LeaseTable
from ledger.errors import TransientError
from ledger.runtime.aws import Clients
from ledger.store.event_store import EventStore
from ledger.store.tables import Names
from stream_bridge.dynamodb_stream import TableStream
from stream_bridge.relay.daemon import Parts, Relay
from stream_bridge.relay.health import RelayHealth
from stream_bridge.relay.leader_lease import RelayLease, Term
from stream_bridge.relay.lookback import Lookback
from stream_bridge.relay.sender import OrderedSender
from stream_bridge.settings import RelaySettings


@contextmanager
def build_relay(settings: RelaySettings, health: RelayHealth, clients: Clients, prompt: Clients) -> Iterator[Relay]:
    """A relay that may run once, in the block.

    ``prompt``: clients whose calls end while the lease holds (``put_timeouts``), for what needs the lease: puts, and
    writes to the lease itself.
    """
    names, worker_id = Names(settings.profile), settings.worker_id or platform.node()
    reads, leases, puts = (
        CallPool(threads, f"relay-{name}", listener=health) for name, threads in (("read", 8), ("lease", 4), ("put", 2))
    )
    loads = CallPool(8, "relay-load", listener=health, transient=lambda error: isinstance(error, TransientError))
    lookback = Lookback(EventStore(clients.dynamodb, names.events), loads)
    table = LeaseTable(prompt.dynamodb, names.relay)

    def sender(term: Term) -> OrderedSender:
        return OrderedSender(
            stream=names.stream,
            table=names.events,
            region=settings.region,
            term=term,
            kinesis=prompt.kinesis,
            puts=puts,
            lookback=lookback,
            health=health,
        )

    try:
        yield Relay(
            Parts(
                stream=TableStream(clients.dynamodb, clients.dynamodbstreams, names.events, reads),
                table=table,
                lease=RelayLease(table, leases, worker_id, settings.failover_time),
                leases=leases,
                health=health,
                worker_id=worker_id,
                failover_time=settings.failover_time,
                sender=sender,
            )
        )
    finally:
        for calls in (reads, leases, puts, loads):
            calls.close()
