"""Leases that only look held: whoever reads a shard raises the counter of its lease for as long as it lives."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from faust_kinesis.leases.table import Lease, LeaseTable

#: Seconds between two looks at the leases.
_INTERVAL: Final = 0.5


@dataclass(frozen=True, slots=True)
class WatchedLeases:
    """The leases as they were seen last, and the keys of those that an owner has and nobody renews."""

    leases: dict[str, Lease]
    silent: frozenset[str]


def watch_leases(
    table: LeaseTable, leases: dict[str, Lease], within: float, report: Callable[[str], None]
) -> WatchedLeases:
    """Look at ``leases`` until every one that has an owner was written to, for at most ``within`` seconds.

    Goes by this process's own clock: no two machines' are compared. ``report`` gets a line before each look.

    Raises ClientError as DynamoDB does.
    """
    still = {key: lease for key, lease in leases.items() if lease.owner is not None and not lease.ended}
    deadline = time.monotonic() + within
    while still and (left := deadline - time.monotonic()) > 0:
        report(f"watching the leases of {len(still)} shards for a sign of their readers, {left:.0f} s at most ...")
        time.sleep(min(_INTERVAL, left))
        leases = table.scan()
        still = {key: lease for key, lease in still.items() if leases.get(key) == lease}
    return WatchedLeases(leases, frozenset(still))
