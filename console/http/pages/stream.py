"""The stream and its readers: shards with owner, lag and use, and the workers."""

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from console.http.fragments import shared
from console.http.site import Site, query, site_of
from faust_kinesis.leases.topology import list_shards
from ledger.runtime.aws import aws_errors
from stream_bridge.provisioning.shard_usage import ShardUse, measure_use

router = APIRouter()

_SECONDS = 10


@router.get("/stream")
def stream(request: Request) -> Response:
    """The whole page; with ``use=yes`` the load of each shard is measured, which takes read capacity."""
    site = site_of(request)
    use: list[ShardUse] = []
    if query(request, {"use": ""})["use"] == "yes":
        use = measure_use(site.components.clients.kinesis, site.components.names.stream, _SECONDS)
    return site.page(request, "stream.html", **_shown(site), use=use, lineage=_lineage(site))


@router.get("/live/stream")
@shared
def live(request: Request) -> Response:
    """What changes in it."""
    site = site_of(request)
    return site.page(request, "parts/stream.html", **_shown(site))


def _shown(site: Site) -> dict[str, Any]:
    look = site.overview.last()
    workers: dict[str, list[str]] = {}
    for shard in look.status.shards if look and look.status else []:
        if shard.owner is not None and not shard.ended:
            workers.setdefault(shard.owner, []).append(shard.shard_id)
    return {"look": look, "workers": workers}


def _lineage(site: Site) -> list[tuple[str, list[str], bool]]:
    """Each shard with the shards that it came of, and whether it still takes records."""
    names = site.components.names
    with aws_errors(f"listing the shards of {names.stream}"):
        shards = list_shards(site.components.clients.kinesis, names.stream).shards
    return [(each.shard_id, list(each.parents), each.is_open) for _, each in sorted(shards.items())]
