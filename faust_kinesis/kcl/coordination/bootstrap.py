"""What must exist before the daemon starts, so that it starts fast and from the right position.

KCL alone would wait for its tables ten seconds at a time, and 1 to 30 s at random before it lists the shards of an
empty lease table. And it stores no time for a start at LATEST: records that arrive before the first checkpoint would
be lost at a restart. So the first leases are created here, by the rules of the polling source, with their time.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from aws_client.call_pool import CallPool
from faust_kinesis.kcl.coordination.tables import CoordinationTables, kcl_specs
from faust_kinesis.leases.coordinator import LeaseCoordinator
from faust_kinesis.leases.table import AT_TIMESTAMP, LATEST, Lease, LeaseTable
from faust_kinesis.options import KinesisOptions

if TYPE_CHECKING:
    from collections.abc import Iterable

log = logging.getLogger(__name__)

_LONG_AGO = datetime.fromtimestamp(1, UTC)


async def prepare(
    coordinator: LeaseCoordinator,
    table: LeaseTable,
    coordination: CoordinationTables,
    options: KinesisOptions,
    calls: CallPool,
) -> datetime | None:
    """Wait for the stream, create tables and first leases, release this worker's own leader lock.

    Returns the time that leases at AT_TIMESTAMP mean. Call it only while no daemon of this worker runs. Transient
    failures are retried for as long as they last.

    Raises ConfigurationError: a table is missing and may not be created.
    Raises StreamGoneError: the stream was deleted meanwhile.
    """
    await coordinator.prepare(kcl_specs(options.application))
    await coordinator.sync()
    for lease in coordinator.leases.values():
        if lease.checkpoint == LATEST:
            await calls.retry_until_answered(f"pin the lease of {lease.key}", table.pin_latest, lease)
    if await calls.retry_until_answered(
        "release the leader's lock", coordination.release_leadership, options.worker_id
    ):
        log.info(
            "Released the leader's lock that an earlier run of worker %s left behind",
            options.worker_id,
            extra={"action": "leader_lock_released", "worker_id": options.worker_id},
        )
    return start_time_of(coordinator.leases.values(), options)


def start_time_of(leases: Iterable[Lease], options: KinesisOptions) -> datetime | None:
    """The one time that KCL gets for all leases at AT_TIMESTAMP: the earliest, so that none starts too late.

    None when no lease starts at a time. A lease without one, made elsewhere, starts with the oldest record.
    """
    waiting = [lease for lease in leases if lease.checkpoint in {AT_TIMESTAMP, LATEST}]
    if waiting:
        return min(lease.start_at or _LONG_AGO for lease in waiting)
    return options.start if isinstance(options.start, datetime) else None
