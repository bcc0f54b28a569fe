"""Aggregates: a list, a search, and one of them with all that is known of it."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote

from fastapi import APIRouter, HTTPException, Request
from starlette.responses import RedirectResponse, Response

from console.folds.history import History
from console.folds.steps import PARTS
from console.http.fragments import shared
from console.http.site import Site, query, site_of
from console.looking.served_rows import served_rows
from console.looking.step_chart import step_chart
from ledger.aggregates.aggregate_type import AnyType
from ledger.store.parallel_scan import Item
from ledger.store.stored_event import StoredEvent
from projector.engine.read_model import UnreadableRowError
from projector.projection import Row

router = APIRouter()

#: Rows of a list, and events of a page.
_ROWS: Final = 50
_EVENTS: Final = 50
#: Seconds that a page waits for a history to be read; a longer one is read while the page is looked at.
WAIT: Final = 0.15


def address(kind: AnyType, aggregate_id: str) -> str:
    """Where an aggregate is shown."""
    return f"/aggregates/{kind.name}/{quote(aggregate_id, safe='')}"


@router.get("/aggregates")
def listed(request: Request) -> Response:
    """A page of a read model's aggregates; with ``q``, the aggregate of this id."""
    site = site_of(request)
    given = query(request, {"model": "", "after": "", "halted": "", "q": ""})
    components = site.components
    if given["q"].strip():
        return _found(request, site, given["q"].strip())
    models = components.models.projections
    projection = models.get(given["model"]) or next(iter(models.values()))
    model = components.models.active(projection)
    after: Item | None = model.key(given["after"]) if given["after"] else None
    rows: list[Row[Any]] = []
    unreadable: list[str] = []
    # A scan with a filter can give few rows, or none, of a long way.
    for _ in range(4):
        items, after = model.heads(after, _ROWS - len(rows), halted=given["halted"] == "yes")
        for item in items:
            try:
                rows.append(model.row(item))
            except UnreadableRowError as error:
                unreadable.append(str(error))
        if after is None or len(rows) >= _ROWS:
            break
    return site.page(
        request,
        "aggregates.html",
        models=models,
        projection=projection,
        rows=[(row, projection.kind_of(row.aggregate_id)) for row in rows],
        unreadable=unreadable,
        more=after["aggregateId"]["S"] if after else None,
        halted=given["halted"],
        address=address,
        missing=None,
    )


@router.get("/aggregates/{kind}/{aggregate_id}")
def aggregate(request: Request, kind: str, aggregate_id: str) -> Response:
    """One aggregate: its states side by side, its numbers over time, its events from the newest on."""
    site, of = site_of(request), type_of(request, kind, aggregate_id)
    history = site.histories.of(of, aggregate_id, wait=WAIT)
    until = query(request, {"until": ""})["until"]
    key = of.key(aggregate_id)
    events = site.components.store.newest(key, until=int(until) if until.isdigit() else None, limit=_EVENTS)
    if not events and not until:
        raise HTTPException(HTTPStatus.NOT_FOUND, f"There is no event of {of.name} {aggregate_id}.")
    shown = _shown(request, site, of, aggregate_id, history, events)
    return site.page(request, "aggregate.html", events=events, **shown)


@router.get("/live/aggregates/{kind}/{aggregate_id}")
@shared
def live(request: Request, kind: str, aggregate_id: str) -> Response:
    """What changes in it."""
    site, of = site_of(request), type_of(request, kind, aggregate_id)
    history = site.histories.of(of, aggregate_id, wait=WAIT)
    return site.page(request, "parts/aggregate.html", **_shown(request, site, of, aggregate_id, history, ()))


def type_of(request: Request, kind: str, aggregate_id: str) -> AnyType:
    """The aggregate type of an address. Raises HTTPException (404)."""
    of = site_of(request).components.aggregates.get(kind)
    if of is None or not of.ids.accepts(aggregate_id):
        raise HTTPException(HTTPStatus.NOT_FOUND, f"There is no {kind[:40]} of this id: {aggregate_id[:100]}")
    return of


def _shown(
    request: Request, site: Site, of: AnyType, aggregate_id: str, history: History, events: Sequence[StoredEvent]
) -> dict[str, Any]:
    key = of.key(aggregate_id)
    sight = history.sight
    wanted = query(request, {"number": ""})["number"]
    number = wanted if wanted in sight.numbers else next(iter(sight.numbers), None)
    total = max(sight.total, events[0].sequence_number if events else 0)
    return {
        "kind": of,
        "aggregate_id": aggregate_id,
        "key": key,
        "address": address(of, aggregate_id),
        "sight": sight,
        "total": total,
        "served": served_rows(site.components, key, PARTS),
        "number": number,
        "chart": step_chart(number, sight.numbers[number]) if number else None,
    }


def _found(request: Request, site: Site, text: str) -> Response:
    """Go to the aggregate that somebody names by its id or its key; where several types have it, ask which."""
    components = site.components
    named = {kind.key(text): (kind, text) for kind in components.aggregates if kind.ids.accepts(text)}
    if (kind := components.aggregates.of_key(text)) is not None:
        named[text] = kind, str(kind.id_of(text))
    there = [each for key, each in named.items() if components.store.version(key).number]
    if len(there) == 1:
        return RedirectResponse(address(*there[0]), HTTPStatus.SEE_OTHER)
    models = components.models.projections
    return site.page(
        request,
        "aggregates.html",
        status=HTTPStatus.OK if there else HTTPStatus.NOT_FOUND,
        models=models,
        projection=next(iter(models.values())),
        rows=[],
        unreadable=[],
        more=None,
        halted="",
        address=address,
        missing=(text, there),
    )
