"""Which events a backfill republishes."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ledger.store.stored_event import StoredEvent, timestamp


@dataclass(frozen=True, slots=True)
class Selection:
    """Events of these aggregates (none: of all) that occurred in ``since <= occurredAt < until`` (None: open).

    The moments are aware. ``occurredAt`` is the clock of the writer's machine: allow for clock skew.
    """

    aggregates: tuple[str, ...] = ()
    since: datetime | None = None
    until: datetime | None = None

    def __str__(self) -> str:
        """The selection in words, equal for equal selections: a backfill is stored under it."""
        of = f"accounts {', '.join(self.aggregates)}" if self.aggregates else "all accounts"
        since = f" since {timestamp(self.since)}" if self.since else ""
        until = f" until {timestamp(self.until)}" if self.until else ""
        return f"{of}{since}{until}"

    def __contains__(self, event: StoredEvent) -> bool:
        """Whether the event occurred within the period; its aggregate is not checked."""
        return (self.since is None or event.occurred_at >= timestamp(self.since)) and (
            self.until is None or event.occurred_at < timestamp(self.until)
        )

    def scan_filter(self) -> Mapping[str, Any]:
        """The period as Scan's arguments. ``occurredAt`` sorts as text (ledger.store.stored_event.timestamp)."""
        bounds = {":since": (">=", self.since), ":until": ("<", self.until)}
        given = {name: (sign, timestamp(moment)) for name, (sign, moment) in bounds.items() if moment is not None}
        if not given:
            return {}
        return {
            "FilterExpression": " AND ".join(f"occurredAt {sign} {name}" for name, (sign, _) in given.items()),
            "ExpressionAttributeValues": {name: {"S": text} for name, (_, text) in given.items()},
        }
