"""The status of the relay, as it is seen from outside: who holds its lease, and how far it lags."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from faust_kinesis.leases.table import TRIM_HORIZON, Lease, LeaseTable
from ledger.runtime.aws import Clients, aws_errors
from ledger.store.tables import Names
from stream_bridge.dynamodb_stream import describe_stream
from stream_bridge.provisioning.bridge import RelayStatus
from stream_bridge.relay.backlog import oldest_change
from stream_bridge.relay.checkpoints import row_key
from stream_bridge.relay.leader_lease import RELAY

#: Seconds between two looks at the lease.
_INTERVAL: Final = 0.5


def look(
    clients: Clients, names: Names, failover_time: float, sleep: Callable[[float], None] = time.sleep
) -> RelayStatus:
    """Watch the lease until it is renewed, for ``failover_time`` at most; find the oldest change without a checkpoint.

    Raises ResourceError when a table is not there, TransientError.
    """
    table = LeaseTable(clients.dynamodb, names.relay)
    with aws_errors(f"reading {names.relay}"):
        rows = table.scan()
        lease = rows.get(RELAY)
        alive = lease is not None and lease.owner is not None and _moves(table, lease, failover_time, sleep)
    return RelayStatus(lease.owner if lease else None, alive, _lag(clients, names.events, rows))


def _moves(table: LeaseTable, lease: Lease, within: float, sleep: Callable[[float], None]) -> bool:
    waited = 0.0
    while waited < within:
        sleep(_INTERVAL)
        waited += _INTERVAL
        now = table.scan().get(RELAY)
        if now is not None and now.owner is not None and now.counter != lease.counter:
            return True
    return False


def _lag(clients: Clients, table: str, rows: dict[str, Lease]) -> float:
    with aws_errors(f"describing the stream of table {table}"):
        stream = describe_stream(clients.dynamodb, clients.dynamodbstreams, table)
    found = []
    for shard_id in stream.shards:
        row = rows.get(row_key(stream.label, shard_id), Lease("", TRIM_HORIZON))
        if row.ended:
            continue
        with aws_errors(f"reading shard {shard_id} of the stream of table {table}"):
            moment = oldest_change(clients.dynamodbstreams, stream.arn, shard_id, row.checkpoint)
        if moment is not None:
            found.append(moment)
    return max(0.0, (datetime.now(UTC) - min(found)).total_seconds()) if found else 0.0
