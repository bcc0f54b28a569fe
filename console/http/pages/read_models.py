"""Read models: their generations, the build under way, and what the last verification found."""

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from console.http.fragments import shared
from console.http.site import Site, site_of
from projector.rebuild.build_lease import BuildStore
from projector.rebuild.generations import GenerationTables

router = APIRouter()


@router.get("/read-models")
def read_models(request: Request) -> Response:
    """The whole page."""
    site = site_of(request)
    return site.page(request, "read_models.html", **_shown(site))


@router.get("/live/read-models")
@shared
def live(request: Request) -> Response:
    """What changes in it."""
    site = site_of(request)
    return site.page(request, "parts/read_models.html", **_shown(site))


def _shown(site: Site) -> dict[str, Any]:
    components = site.components
    tables = GenerationTables(components.clients.dynamodb, components.names)
    builds = BuildStore(components.clients.dynamodb, components.names.projections)
    under_way = [builds.read(each.name) for each in components.projections]
    verifications = components.audit.recent(20, action="projector verify")
    verified: dict[str, tuple[Any, Any]] = {}
    for action in verifications:
        for model in action.details.get("readModels", []):
            verified.setdefault(model["projection"], (action, model))
    return {
        "models": [
            (each, tables.list(each), build, build and site.watch.look(build), verified.get(each.name))
            for each, build in zip(components.projections, under_way, strict=True)
        ],
    }
