"""The bridge: what carries the table to the stream, the watch and its hold, and backfills under way."""

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from console.http.fragments import shared
from console.http.site import Site, site_of
from ledger.holds import Holds
from stream_bridge.backfill.progress import BackfillStore
from stream_bridge.watch.watermark import WatermarkStore

router = APIRouter()


@router.get("/bridge")
def bridge(request: Request) -> Response:
    """The whole page."""
    site = site_of(request)
    return site.page(request, "bridge.html", **_shown(site))


@router.get("/live/bridge")
@shared
def live(request: Request) -> Response:
    """What changes in it."""
    site = site_of(request)
    return site.page(request, "parts/bridge.html", **_shown(site))


def _shown(site: Site) -> dict[str, Any]:
    site.metrics.refresh()
    components, metrics = site.components, site.metrics
    dynamodb, names = components.clients.dynamodb, components.names
    return {
        "look": site.overview.last(),
        "mode": components.settings.bridge,
        "hold": Holds(dynamodb, names.bridge).find(),
        "watermark": WatermarkStore(dynamodb, names.bridge).find(),
        "backfills": [(each, site.watch.look(each)) for each in BackfillStore(dynamodb, names.bridge).all()],
        "figures": [
            (text, metrics.total(name))
            for text, name in (
                ("missing on the stream", "kinfold_watch_missing_events"),
                ("put on the stream again", "kinfold_watch_republished_total"),
            )
        ],
    }
