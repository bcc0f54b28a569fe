"""The proof at the end of a demo: every aggregate, refolded from the event store, is what every read model answers."""

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import httpx

from ledger.errors import EndpointError
from ledger.store.event_store import EventStore
from ledger.store.stored_event import StoredEvent
from projector.projection import HEAD, Projection
from projector.verification.expected_rows import ExpectedRows

#: Seconds that one request waits for a read model to catch up, and without progress after which the audit gives up.
_WAIT: Final = 2
_STALL_TIMEOUT: Final = 60.0


@dataclass(frozen=True, slots=True)
class Audit:
    """One aggregate in one read model: the version that the writer confirmed, that of its events, and what differs."""

    aggregate_id: str
    projection: str
    confirmed: int
    stored: int
    difference: str

    @property
    def agrees(self) -> bool:
        """Whether readers see the fold of its events, and these hold everything that the writer confirmed."""
        return not self.difference and self.confirmed <= self.stored


def audit(
    store: EventStore,
    projections: Sequence[Projection[Any]],
    projector_url: str,
    confirmed: Mapping[str, int],
    on_progress: Callable[[], None],
) -> list[Audit]:
    """Refold each aggregate of ``confirmed`` (the last version that the writer answered), and compare every read model.

    Waits for a read model that is behind as long as any progress is made. Raises EndpointError when the projector does
    not answer.
    """
    found = []
    with httpx.Client(base_url=projector_url, timeout=30, trust_env=False) as projector:
        for aggregate_id, version in confirmed.items():
            events = list(store.read(aggregate_id))
            for projection in projections:
                if projection.takes(aggregate_id):
                    expected = _folded(projection, aggregate_id, events)
                    shown = _caught_up(projector, projection.path, aggregate_id, len(events), on_progress)
                    difference = "" if shown == expected else f"{shown}, should be {expected}"
                    found.append(Audit(aggregate_id, projection.name, version, len(events), difference))
    return found


def disagreements(audits: Iterable[Audit]) -> list[Audit]:
    """Those that do not agree."""
    return [each for each in audits if not each.agrees]


def _folded(projection: Projection[Any], aggregate_id: str, events: Sequence[StoredEvent]) -> Any:
    """What readers should see, by the projection's witness where it has one."""
    folded = ExpectedRows(projection, aggregate_id, lambda _id, _number: False)
    for event in events:
        folded.add(event)
    rows = folded.rows()
    head = rows.pop(HEAD)
    return json.loads(json.dumps(projection.page(head, [row for _, row in sorted(rows.items())])))


def _caught_up(
    projector: httpx.Client, path: str, aggregate_id: str, version: int, on_progress: Callable[[], None]
) -> Mapping[str, Any]:
    """What the projector answers at ``version``, or after a minute without progress."""
    reached, moved = -1, time.monotonic()
    while True:
        try:
            answer = projector.get(f"/{path}/{aggregate_id}", params={"min_version": version, "wait": _WAIT})
            body: Mapping[str, Any] = answer.json()
        except (httpx.TransportError, ValueError) as error:
            raise EndpointError(f"the projector at {projector.base_url} does not answer: {error}") from error
        on_progress()
        if answer.is_success:
            return body
        if int(body.get("version", 0)) > reached:
            reached, moved = int(body.get("version", 0)), time.monotonic()
        elif time.monotonic() - moved > _STALL_TIMEOUT:
            return body
