"""The state of the whole, looked at in the background while somebody looks at a page, and never else."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

import structlog

from ledger.audit.audit_log import Action
from ledger.errors import KinfoldError
from projector.components import Components
from projector.status.status import Status, read_status

log = structlog.get_logger(__name__)

#: Seconds between two looks: each is some ten calls to AWS and two a shard, however many browsers are open.
PERIOD: Final = 15.0
#: Seconds after which a look says nothing about the present any more: nobody has looked for so long.
OLD: Final = 60.0
#: Actions that the overview shows.
_RECENT: Final = 20


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen at ``at``. ``error``: why it could not be seen anew since."""

    at: datetime
    status: Status | None
    recent: list[Action]
    verified: Action | None
    error: str | None = None


class Overview:
    """The last look at everything. Safe to share between threads."""

    def __init__(self, components: Components, executor: Executor, now: Callable[[], float] = time.monotonic) -> None:
        self._components = components
        self._executor = executor
        self._now = now
        self._last: Look | None = None
        self._looked_at = -PERIOD
        self._looking = threading.Lock()

    def last(self) -> Look | None:
        """The last look, None before the first; has another one taken in the background when it is old."""
        if self._now() - self._looked_at >= PERIOD and self._looking.acquire(blocking=False):
            self._executor.submit(self._look)
        return self._last if self._now() - self._looked_at < OLD else None

    def _look(self) -> None:
        try:
            self._last = self._seen(self._last)
        finally:
            self._looked_at = self._now()
            self._looking.release()

    def _seen(self, before: Look | None) -> Look:
        components, now = self._components, datetime.now(UTC)
        try:
            settings = components.settings
            status = read_status(components, components.projections, mode=settings.bridge, watch=settings.failover_time)
            recent = components.audit.recent(_RECENT)
            verified = next(iter(components.audit.recent(1, action="projector verify")), None)
            return Look(now, status, recent, verified)
        except KinfoldError as error:
            log.warning("not_looked", reason=str(error), action="none while it passes")
            return replace(before or Look(now, None, [], None), error=str(error))
