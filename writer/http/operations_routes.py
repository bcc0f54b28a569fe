"""The routes for whoever runs the writer: health, readiness, metrics.

Coroutines, so that busy threads do not delay them.
"""

from typing import Final

import anyio
import structlog
from anyio.to_thread import run_sync
from fastapi import APIRouter
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.responses import PlainTextResponse, Response

from ledger.errors import KinfoldError
from ledger.runtime.problems import NOT_READY
from ledger.store.errors import TableReplacedError
from writer.commands.aggregate_repository import AggregateRepository
from writer.http.declared_route import DeclaredRoute
from writer.http.openapi import problems
from writer.http.schemas import Health
from writer.metrics import Metrics

log = structlog.get_logger(__name__)

#: Seconds in which the events table must answer a probe, less than an orchestrator's usual patience.
_PROBE_TIMEOUT: Final = 3.0
#: Probes under way at once. They have threads of their own, or a full pool would look like a lost table.
_PROBES: Final = 4


def operation_routes(repository: AggregateRepository, metrics: Metrics) -> APIRouter:
    """``/health``, ``/ready`` and ``/metrics``."""
    router = APIRouter(tags=["operations"], route_class=DeclaredRoute)
    limiter = anyio.CapacityLimiter(_PROBES)

    @router.get(
        "/health",
        summary="Is the process alive?",
        response_model=Health,
        responses=problems(400, 408, 413, 431, 500),
    )
    async def health() -> Health:
        return Health(status="ok")

    @router.get(
        "/ready",
        summary="Can the writer reach the events table?",
        response_model=Health,
        responses=problems(400, 401, 403, 408, 413, 431, 500, 503),
    )
    async def ready() -> Health:
        try:
            with anyio.fail_after(_PROBE_TIMEOUT):
                await run_sync(repository.probe, limiter=limiter, abandon_on_cancel=True)
        except TableReplacedError as error:
            raise NOT_READY.of(str(error)) from error
        except (KinfoldError, TimeoutError) as error:
            log.warning("not_ready", reason=str(error) or f"no answer in {_PROBE_TIMEOUT:.0f} s")
            raise NOT_READY.of() from error
        return Health(status="ready")

    @router.get(
        "/metrics",
        summary="Prometheus metrics",
        response_class=PlainTextResponse,
        responses=problems(400, 401, 403, 408, 413, 431, 500),
    )
    async def read_metrics() -> Response:
        return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)

    return router
