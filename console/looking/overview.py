"""The state of the whole, looked at in the background while somebody looks at a page, and never else."""

import time
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

from console.looking.latest import Latest
from ledger.audit.audit_log import Action
from projector.components import Components
from projector.status.status import Status, read_status

#: Seconds between two looks, and for each call to AWS that one took: some twenty and two a shard, whoever looks.
PERIOD: Final = 15.0
A_CALL: Final = 1.25
#: Seconds after which a look says nothing about the present any more: nobody has looked for so long.
OLD: Final = 120.0
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
        self._looks = Latest(self._look, executor.submit, period=PERIOD, a_call=A_CALL, old=OLD, now=now)

    def last(self) -> Look | None:
        """The last look, None before the first; has another one taken in the background when it is old."""
        look, error = self._looks.last(), self._looks.error
        if error is None:
            return look
        return replace(look or Look(datetime.now(UTC), None, [], None), error=error)

    def _look(self) -> Look:
        audit, now = self._components.audit, datetime.now(UTC)
        verified = next(iter(audit.recent(1, action="projector verify")), None)
        return Look(now, status_of(self._components), audit.recent(_RECENT), verified)


def status_of(components: Components) -> Status:
    """The projector's status. Raises as ``read_status`` does."""
    settings = components.settings
    return read_status(components, components.projections, mode=settings.bridge, watch=settings.failover_time)
