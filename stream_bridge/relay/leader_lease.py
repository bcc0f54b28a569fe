"""Leader election among the relays of a table: a lease, taken and renewed by conditional writes.

Clocks of different machines are never compared. A lease has expired once a watcher has seen it unchanged for
``failover_time`` by its own clock; the holder stops putting when it could not renew for half of that, by its own. The
other half is for a put in flight: its timeouts (``put_timeouts``) fit within it.
"""

import asyncio
import time
from dataclasses import dataclass
from typing import Final

import structlog

from aws_client.call_pool import CallPool
from faust_kinesis.errors import FaustKinesisError, LeaseLostError
from faust_kinesis.leases.planner import LeaseSights, leases_to_take
from faust_kinesis.leases.table import TRIM_HORIZON, Lease, LeaseTable

log = structlog.get_logger(__name__)

#: The lease of the relay as a whole, beside the rows of the shards.
RELAY: Final = "relay"
#: Fractions of the failover time: between two renewals, and from the last successful one until the holder stops.
_RENEW: Final = 0.2
_HOLD: Final = 0.5
#: Likewise for a put in flight: for its connection and for its answer.
_CONNECT: Final = 0.15
_ANSWER: Final = 0.3


class LeaseNotHeldError(FaustKinesisError):
    """The relay must stop putting: it lost its lease, or could not renew it in time. Another relay may take over."""


def put_timeouts(failover_time: float) -> tuple[float, float]:
    """Timeouts in seconds for a put's connection and answer, so that it ends while the lease is held."""
    return min(2.0, failover_time * _CONNECT), min(15.0, failover_time * _ANSWER)


def now() -> float:
    """Seconds of a monotonic clock, one that runs on while the machine sleeps where there is one."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


@dataclass(slots=True)
class Term:
    """The period for which one relay is active. Once over, it never resumes; a new Term may begin.

    ``check`` is called from threads that put, the rest from the event loop.
    """

    lease: Lease
    until: float
    over: str | None = None
    failure: Exception | None = None

    def check(self) -> None:
        """Raise LeaseNotHeldError when the term is over, or was not renewed in time, which ends it."""
        if self.over is None and now() >= self.until:
            self.over = "the lease could not be renewed in time"
        if self.over is not None:
            raise LeaseNotHeldError(self.over)

    def end(self, reason: str, failure: Exception | None = None) -> None:
        """End the term: nothing more is put. ``failure``: one that a later term would meet again."""
        self.over, self.failure = self.over or reason, self.failure or failure


class RelayLease:
    """One relay's view of the lease. ``calls`` retries transient failures."""

    def __init__(self, table: LeaseTable, calls: CallPool, worker_id: str, failover_time: float) -> None:
        self._table = table
        self._calls = calls
        self.worker_id = worker_id
        self.failover_time = failover_time
        self._sights = LeaseSights()
        self._looked = False
        self._mine: Lease | None = None
        self.holder: str | None = None

    async def take(self) -> Term | None:
        """Read the lease once, and take it if nobody holds it, if it has expired, or if it is this worker's own.

        A worker id is stable: what an earlier process under it left behind is taken back at once. None while another
        relay holds the lease.
        """
        rows = await self._calls.retry_until_answered("look at the relay's lease", self._table.scan)
        if RELAY not in rows:
            new = Lease(RELAY, TRIM_HORIZON)
            await self._calls.retry_until_answered("make the relay's lease", self._table.add, new)
            rows = {RELAY: new}
        lease = rows[RELAY]
        seen_at = now()
        self._sights = self._sights.after({RELAY: lease}, seen_at)
        own = not self._looked or (self._mine is not None and lease.holder == self._mine.holder)
        self._looked, self.holder = True, lease.owner
        if not leases_to_take(
            {RELAY: lease},
            self._sights,
            worker_id=self.worker_id,
            held=(),
            left_behind={RELAY} if own else (),
            now=seen_at,
            failover_time=self.failover_time,
        ):
            return None
        asked = now()
        try:
            taken = await self._calls.retry_until_answered(
                "take the relay's lease", self._table.take, lease, self.worker_id
            )
        except LeaseLostError:
            return None
        self._mine, self.holder = taken, self.worker_id
        return Term(taken, asked + self.failover_time * _HOLD)

    async def keep(self, term: Term) -> None:
        """Renew the lease for as long as it is held. Never returns.

        Raises LeaseNotHeldError, after which nothing more is put.
        """
        while True:
            await asyncio.sleep(self.failover_time * _RENEW)
            term.check()
            asked = now()
            try:
                async with asyncio.timeout(term.until - asked):
                    term.lease = await self._calls.retry_until_answered(
                        "renew the relay's lease", self._table.renew, term.lease
                    )
            except (TimeoutError, LeaseLostError) as error:
                lost = isinstance(error, LeaseLostError)
                term.end("another relay has taken the lease" if lost else "the lease could not be renewed in time")
                raise LeaseNotHeldError(str(term.over)) from error
            term.until = asked + self.failover_time * _HOLD
            term.check()

    async def release(self, term: Term) -> None:
        """Release the lease, so that a standby takes it at once. No error when it is lost already."""
        term.end("the relay stops")
        try:
            async with asyncio.timeout(self.failover_time):
                await self._calls.retry_until_answered("give the relay's lease back", self._table.release, term.lease)
        except LeaseLostError:
            pass  # another relay holds it: nothing to release
        except TimeoutError:
            log.warning("lease_not_given_back", action="none: it expires")
