"""Whether Java is alive and agents make progress. Pure: times are arguments (monotonic seconds), errors are raised."""

from __future__ import annotations

from faust_kinesis.errors import AgentHungError, DaemonError
from faust_kinesis.options import KinesisOptions

_START_LIMIT = 120.0
"""KCL alone may take 75 s from its start to its first sign of life."""


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
