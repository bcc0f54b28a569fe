"""Whether Java, the agents and KCL's leader are alive. Pure: times are arguments (monotonic seconds)."""

from __future__ import annotations

from faust_kinesis.errors import AgentHungError, DaemonError
from faust_kinesis.kcl.coordination.tables import LeaderLock
from faust_kinesis.options import KinesisOptions

_START_LIMIT = 120.0
"""KCL alone may take 75 s from its start to its first sign of life."""
_MISSED = 3
"""Heartbeats without which a leader counts as dead."""
_LOCK_RENEWAL = 30.0
"""Seconds: KCL renews the lock so often. It has no property for it."""


class LeaderWatch:
    """Whether the leader shows signs of life, by this worker's own clock: no two machines' clocks are compared.

    KCL itself takes a lock for dead that stood still for two minutes. But every worker reports every five seconds, and
    of two that report on the same table, the one whose reports stay away while the other's arrive is silent.
    """

    def __init__(self, report_interval: float, failover_time: float) -> None:
        """`report_interval`: seconds between two reports; no leader is silent before `failover_time`, as its leases."""
        self._report_interval = report_interval
        self._failover_time = failover_time
        self._signs: tuple[LeaderLock | None, str | None] = None, None
        self._mine: str | None = None
        self._beats = 0
        self._since = self._looked_at = float("-inf")

    def is_silent(self, lock: LeaderLock | None, report: str | None, mine: str | None, now: float) -> bool:
        """Look at the lock, its owner's last report, and this worker's own; whether the owner has to be replaced.

        It has when it neither renewed the lock nor reported while this worker reported three times. A time for which
        nobody looked does not count.
        """
        paused = now - self._looked_at > max(2 * self._report_interval, self._failover_time)
        if paused or (lock, report) != self._signs:
            self._signs, self._since, self._beats = (lock, report), now, 0
        elif mine != self._mine:
            self._beats += 1
        self._mine, self._looked_at = mine, now
        # One that has not reported yet shows its life by the lock alone.
        heartbeat = _LOCK_RENEWAL if report is None else self._report_interval
        silent_for = max(_MISSED * heartbeat, self._failover_time)
        return lock is not None and self._beats >= _MISSED and now - self._since >= silent_for


class Watchdog:
    """When the daemon and the agents last showed a sign of life."""

    def __init__(self, options: KinesisOptions) -> None:
        self._batch_timeout = options.batch_timeout
        self._daemon_timeout = options.daemon_timeout
        self._sign: str | None = None
        self._daemon_at: float | None = None
        self._alive = False
        self._agent_at: float | None = None

    def daemon_started(self, now: float) -> None:
        """Java was started."""
        self._daemon_at = now

    def daemon_spoke(self, at: float) -> None:
        """A message of Java arrived on some connection."""
        if self._daemon_at is None or at > self._daemon_at:
            self._daemon_at, self._alive = at, True

    def daemon_signed(self, sign: str | None, now: float) -> None:
        """Java's last report in the table; only a change is a sign of life."""
        if sign != self._sign:
            if self._sign is not None:
                self.daemon_spoke(now)
            self._sign = sign

    def endpoint_was_silent(self, now: float) -> None:
        """The endpoint did not answer, so Java could not report either."""
        if self._daemon_at is not None:
            self._daemon_at = now

    def check_daemon(self, now: float) -> None:
        """Raises DaemonError: no sign of life for too long."""
        limit = self._daemon_timeout if self._alive else max(_START_LIMIT, self._daemon_timeout)
        if self._daemon_at is not None and now - self._daemon_at > limit:
            raise DaemonError(f"KCL's daemon hangs: no sign of life for {now - self._daemon_at:.0f} s")

    def agent_moved(self, now: float) -> None:
        """An agent completed a batch."""
        self._agent_at = now

    def check_agent(self, pending: int, now: float) -> None:
        """`pending` batches are in flight. Raises AgentHungError: none was completed for too long."""
        if not pending or self._agent_at is None:
            self._agent_at = now
        elif now - self._agent_at > self._batch_timeout:
            raise AgentHungError(
                f"agents have {pending} batches and completed none for {now - self._agent_at:.0f} s, longer than"
                f" batch_timeout allows ({self._batch_timeout:.0f} s)"
            )
