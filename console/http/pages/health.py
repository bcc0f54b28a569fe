"""Whether the console is up and can see, and what it counts: for whoever runs it, not for browsers."""

from fastapi import APIRouter, Request
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.responses import JSONResponse, Response

from console.http.site import site_of
from ledger.errors import KinfoldError
from ledger.runtime.problems import NOT_READY

router = APIRouter()


@router.get("/health")
async def health() -> Response:
    """Say that the process answers."""
    return JSONResponse({"status": "ok"})


@router.get("/ready")
def ready(request: Request) -> Response:
    """Say whether it sees the ledger. Raises ProblemError (503)."""
    try:
        site_of(request).components.audit.recent(1)
    except KinfoldError as error:
        raise NOT_READY.of(str(error)) from None
    return JSONResponse({"status": "ready"})


@router.get("/metrics")
async def metrics(request: Request) -> Response:
    """What it counts, for Prometheus."""
    return Response(generate_latest(site_of(request).counters.registry), media_type=CONTENT_TYPE_LATEST)
