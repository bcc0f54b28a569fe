"""The proof at the end of a demo: every aggregate, refolded from the event store, is what every read model answers."""

import json
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field
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
#: Aggregates that are compared at the same time, and seconds between two looks at how far that is.
_TOGETHER: Final = 8
_PROGRESS_EVERY: Final = 0.1


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

    Waits for a read model that is behind as long as any progress is made. ``on_progress`` is called from this thread,
    some ten times a second; what it raises ends the audit. Raises EndpointError when the projector does not answer.
    """
    with (
        httpx.Client(base_url=projector_url, timeout=30, trust_env=False) as projector,
        ThreadPoolExecutor(_TOGETHER, thread_name_prefix="audit") as pool,
    ):
        auditor = _Auditor(store, projections, projector)
        audits = [pool.submit(auditor.audits, *each) for each in confirmed.items()]
        pending = set(audits)
        try:
            while pending:
                done, pending = wait(pending, timeout=_PROGRESS_EVERY)
                for each in done:
                    each.result()
                on_progress()
        finally:
            auditor.ended.set()
            pool.shutdown(wait=False, cancel_futures=True)
        return [found for each in audits for found in each.result()]


def disagreements(audits: Iterable[Audit]) -> list[Audit]:
    """Those that do not agree."""
    return [each for each in audits if not each.agrees]


@dataclass(frozen=True, slots=True)
class _Auditor:
    """Compares aggregates, from several threads. ``ended``: nothing is waited for any more."""

    store: EventStore
    projections: Sequence[Projection[Any]]
    projector: httpx.Client
    ended: threading.Event = field(default_factory=threading.Event)

    def audits(self, aggregate_id: str, confirmed: int) -> list[Audit]:
        """One aggregate in every read model that takes it."""
        events = list(self.store.read(aggregate_id))
        found = []
        for projection in self.projections:
            if projection.takes(aggregate_id):
                expected = _folded(projection, aggregate_id, events)
                shown = self._caught_up(projection.path, aggregate_id, len(events))
                difference = "" if shown == expected else f"{shown}, should be {expected}"
                found.append(Audit(aggregate_id, projection.name, confirmed, len(events), difference))
        return found

    def _caught_up(self, path: str, aggregate_id: str, version: int) -> Mapping[str, Any]:
        """What the projector answers at ``version``, or after a minute without progress."""
        reached, moved = -1, time.monotonic()
        while True:
            try:
                answer = self.projector.get(f"/{path}/{aggregate_id}", params={"min_version": version, "wait": _WAIT})
                body: Mapping[str, Any] = answer.json()
            except (httpx.TransportError, ValueError) as error:
                raise EndpointError(f"the projector at {self.projector.base_url} does not answer: {error}") from error
            if answer.is_success or self.ended.is_set():
                return body
            if int(body.get("version", 0)) > reached:
                reached, moved = int(body.get("version", 0)), time.monotonic()
            elif time.monotonic() - moved > _STALL_TIMEOUT:
                return body


def _folded(projection: Projection[Any], aggregate_id: str, events: Sequence[StoredEvent]) -> Any:
    """What readers should see, by the projection's witness where it has one."""
    folded = ExpectedRows(projection, aggregate_id, lambda _id, _number: False)
    for event in events:
        folded.add(event)
    rows = folded.rows()
    head = rows.pop(HEAD)
    return json.loads(json.dumps(projection.page(head, [row for _, row in sorted(rows.items())])))
