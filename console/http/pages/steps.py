"""The stepper: one event, and what each fold had before it and has after it."""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from fastapi import APIRouter, HTTPException, Request
from starlette.responses import RedirectResponse, Response

from aws_client.moments import parse_moment
from console.folds.steps import Shown
from console.http.pages.aggregates import WAIT, address, type_of
from console.http.site import query, site_of
from ledger.store.event_store import EventStore
from ledger.store.stored_event import timestamp

router = APIRouter()

#: Values of one fold that are shown though the event did not change them: so many of the first and of the last ones.
_UNCHANGED: Final = 30


@dataclass(frozen=True, slots=True)
class Change:
    """One value before and after the event, by one fold; None where it has none."""

    path: str
    before: str | None
    after: str | None

    @property
    def changed(self) -> bool:
        """Whether the event changed it."""
        return self.before != self.after


@dataclass(frozen=True, slots=True)
class Folded:
    """What one fold makes of the event. ``left``: how many values more it did not change."""

    shown: Shown
    changes: list[Change]
    left: int


@router.get("/aggregates/{kind}/{aggregate_id}/steps")
def at(request: Request, kind: str, aggregate_id: str) -> Response:
    """Go to the step of a version, or to the last one up to a time."""
    site, of = site_of(request), type_of(request, kind, aggregate_id)
    given = query(request, {"version": "", "at": ""})
    store, key = site.components.store, of.key(aggregate_id)
    last = store.version(key).number
    if given["version"].isdigit():
        version = int(given["version"][:15])
    elif given["at"]:
        try:
            moment = parse_moment(given["at"] if "Z" in given["at"] or "+" in given["at"] else f"{given['at']}Z")
        except ValueError as error:
            raise HTTPException(HTTPStatus.BAD_REQUEST, f"at: {error}") from None
        version = _last_until(store, key, timestamp(moment), last)
    else:
        version = last
    version = min(max(version, 1), max(last, 1))
    return RedirectResponse(f"{address(of, aggregate_id)}/steps/{version}", HTTPStatus.SEE_OTHER)


@router.get("/aggregates/{kind}/{aggregate_id}/steps/{version}")
def step(request: Request, kind: str, aggregate_id: str, version: int) -> Response:
    """One step."""
    site, of = site_of(request), type_of(request, kind, aggregate_id)
    key = of.key(aggregate_id)
    last = site.components.store.version(key).number
    if not 1 <= version <= last:
        raise HTTPException(HTTPStatus.NOT_FOUND, f"{of.name} {aggregate_id} has the events 1 to {last}.")
    history = site.histories.of(of, aggregate_id, wait=WAIT)
    if not history.reaches(version):
        return site.page(request, "reading.html", sight=history.sight, version=version, last=last)
    before, event, after = history.step(version)
    folds = [_folded(old, new) for old, new in zip(before, after, strict=True)]
    return site.page(
        request,
        "step.html",
        kind=of,
        aggregate_id=aggregate_id,
        key=key,
        address=address(of, aggregate_id),
        event=event,
        folds=folds,
        version=version,
        last=last,
    )


def _folded(before: Shown, after: Shown) -> Folded:
    paths = dict.fromkeys([*before.values, *after.values])
    changes = [Change(path, before.values.get(path), after.values.get(path)) for path in paths]
    same = [each for each in changes if not each.changed]
    left = {each.path for each in same[_UNCHANGED:-_UNCHANGED]}
    return Folded(after, [each for each in changes if each.path not in left], len(left))


def _last_until(store: EventStore, key: str, latest: str, last: int) -> int:
    """The last event that occurred at ``latest`` or before it; by halves, since times rise with the numbers."""
    low, high = 0, last
    while low < high:
        middle = (low + high + 1) // 2
        (event,) = store.newest(key, until=middle, limit=1)
        low, high = (middle, high) if event.occurred_at <= latest else (low, middle - 1)
    return low
