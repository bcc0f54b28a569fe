"""Which leases to take. Pure: observations and time are arguments, the decision is the result."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from faust_kinesis.leases.table import Lease


@dataclass(frozen=True, slots=True)
class LeaseSights:
    """When each lease's counter or owner was last seen to change, by this process's own monotonic clock.

    So no two machines' clocks are compared (KCL's algorithm): a lease expires when it is *observed* not to change.
    """

    sights: Mapping[str, tuple[Lease, float]] = field(default_factory=dict)

    def after(self, leases: Mapping[str, Lease], now: float) -> LeaseSights:
        """The observations after seeing all leases at `now`."""
        return LeaseSights({key: self._look(lease, now) for key, lease in leases.items()})

    def stood_still(self, key: str, now: float) -> float:
        """Seconds for which the lease was seen unchanged."""
        return now - self.sights[key][1] if key in self.sights else 0.0

    def _look(self, lease: Lease, now: float) -> tuple[Lease, float]:
        before, since = self.sights.get(lease.key, (None, now))
        unchanged = before is not None and (before.counter, before.owner) == (lease.counter, lease.owner)
        return lease, since if unchanged else now


def leases_to_take(
    leases: Mapping[str, Lease],
    sights: LeaseSights,
    *,
    worker_id: str,
    held: Collection[str],
    left_behind: Collection[str],
    now: float,
    failover_time: float,
) -> list[Lease]:
    """The leases this worker should take now, oldest shard first.

    It takes every lease that has no owner, that an earlier run under this worker id left behind, or whose counter has
    not changed for `failover_time`; never one of an ended shard, and none whose parents are not ended: children come
    after parents. A lease that a second process took under the same worker id is not ours while that one lives.
    """

    def is_free(lease: Lease) -> bool:
        if lease.owner is None or (
            lease.owner == worker_id and lease.key in left_behind and not lease.checkpoint_owner
        ):
            return True
        return sights.stood_still(lease.key, now) > failover_time

    return [
        lease
        for _, lease in sorted(leases.items())
        if lease.key not in held and not lease.ended and parents_are_done(lease, leases) and is_free(lease)
    ]


def parents_are_done(lease: Lease, leases: Mapping[str, Lease]) -> bool:
    """Whether every parent is checkpointed as ended.

    A parent without a lease is history before the first start, or was ended and has left the stream since.
    """
    return all(leases[parent].ended for parent in lease.parents if parent in leases)


def leases_to_forget(leases: Mapping[str, Lease], listed: Collection[str]) -> list[Lease]:
    """The leases of ended shards that have left the stream: nothing needs them any more."""
    return [lease for lease in leases.values() if lease.ended and lease.key not in listed]
