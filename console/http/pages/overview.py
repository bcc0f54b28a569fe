"""The overview: one sentence of verdict, the way of an event, the figures that matter, and what anybody did last."""

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from console.http.fragments import shared
from console.http.site import Site, site_of

router = APIRouter()


@router.get("/")
def overview(request: Request) -> Response:
    """The whole page."""
    site = site_of(request)
    return site.page(request, "overview.html", **_shown(site))


@router.get("/live/overview")
@shared
def live(request: Request) -> Response:
    """What changes in it."""
    site = site_of(request)
    return site.page(request, "parts/overview.html", **_shown(site))


def _shown(site: Site) -> dict[str, Any]:
    site.metrics.refresh()
    metrics, look = site.metrics, site.overview.last()
    shards = look.status.shards if look and look.status else []
    lag = metrics.percentiles("kinfold_projector_millis_behind_latest", 0.5, 0.99)
    return {
        "look": look,
        "services": metrics.services,
        "appended": metrics.rate("kinfold_writer_events_total"),
        "streamed": metrics.rate("kinfold_projector_records_total"),
        "applied": metrics.rate("kinfold_projector_applied_total", max),
        "written": metrics.rate("kinfold_projector_applied_total"),
        "lag": lag,
        "used": max((each.used for each in shards), default=None),
        "unread": look.status.oldest_unread if look and look.status and shards else None,
    }
