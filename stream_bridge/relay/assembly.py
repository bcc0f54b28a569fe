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
from stream_bridge.relay.health import RelayView
from stream_bridge.relay.leader_lease import RelayLease, Term
from stream_bridge.relay.lookback import StoredEvents
from stream_bridge.relay.sender import Carrier
from stream_bridge.settings import RelaySettings


@contextmanager
def build_relay(settings: RelaySettings, view: RelayView, clients: Clients, prompt: Clients) -> Iterator[Relay]:
    """A relay that may run once, in the block.

    ``prompt``: clients whose calls end while the lease holds (``put_timeouts``), for what needs the lease: puts, and
    writes to the lease itself.
    """
    names, worker_id = Names(settings.profile), settings.worker_id or platform.node()
    reads, leases, puts = (
        CallPool(threads, f"relay-{name}", listener=view) for name, threads in (("read", 8), ("lease", 4), ("put", 2))
    )
    loads = CallPool(8, "relay-load", listener=view, transient=lambda error: isinstance(error, TransientError))
    stored = StoredEvents(EventStore(clients.dynamodb, names.events), loads)
    table = LeaseTable(prompt.dynamodb, names.relay)

    def carrier(term: Term) -> Carrier:
        return Carrier(
            stream=names.stream,
            table=names.events,
            region=settings.region,
            term=term,
            kinesis=prompt.kinesis,
            puts=puts,
            stored=stored,
            view=view,
        )

    try:
        yield Relay(
            Parts(
                stream=TableStream(clients.dynamodb, clients.dynamodbstreams, names.events, reads),
                table=table,
                lease=RelayLease(table, leases, worker_id, settings.failover_time),
                leases=leases,
                view=view,
                worker_id=worker_id,
                failover_time=settings.failover_time,
                carrier=carrier,
            )
        )
    finally:
        for calls in (reads, leases, puts, loads):
            calls.close()
