"""Health, readiness and metrics over HTTP, served by Faust's own web server."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import faust
from aiohttp.web import Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from faust_kinesis.source import ShardStatus
from ledger.runtime.openapi.document import OPERATIONS, Operation
from ledger.runtime.problems import HELD_UP, NOT_READY
from ledger.store.table_identity import TableGuard
from projector.http.responses import STORED, Page, answer
from projector.http.schemas import HEALTH, READY
from projector.ingest.batch_handler import BatchHandler
from projector.metrics import Metrics
from projector.status.gauges import Gauges

#: Seconds after which a passing fault makes the worker unhealthy, and not only not ready.
UNHEALTHY_AFTER: Final = 30.0
#: A shard that was not read for so long is not being followed.
STALE_AFTER: Final = timedelta(seconds=10)

Status = Callable[[], Sequence[ShardStatus]]


def mount_views(
    app: faust.App, handler: BatchHandler, guard: TableGuard, metrics: Metrics, gauges: Gauges, status: Status
) -> None:
    """Add the routes to the app's web server. ``status`` returns every shard's status without a call."""

    @app.page("/health")
    class Health(Page):
        """200 while the worker can do its work; 503 once a passing fault has held it up for long."""

        described = Operation(tag=OPERATIONS, answer=HEALTH, problems=(HELD_UP,))

        async def get(self, _request: Request) -> Response:
            fault = handler.fault
            if fault and fault.seconds > UNHEALTHY_AFTER:
                raise HELD_UP.of(f"for {fault.seconds:.0f} s: {fault.reason}")
            return answer({"status": "ok"})

    @app.page("/ready")
    class Ready(Page):
        """200 while every shard is followed, by this worker or another, and no fault holds the batches up."""

        described = Operation(tag=OPERATIONS, answer=READY, problems=(NOT_READY,))

        async def get(self, _request: Request) -> Response:
            shards = status()
            reason = guard.reason or _why_not_ready(shards, handler)
            if reason:
                raise NOT_READY.of(reason)
            return answer({"status": "ready", "shards": [_shard(shard) for shard in shards]})

    @app.page("/metrics")
    class Exposition(Page):
        """The counters in Prometheus' text format."""

        described = Operation(tag=OPERATIONS, answer={"type": "string"}, media_type="text/plain", problems=STORED)

        async def get(self, _request: Request) -> Response:
            shards = status()
            metrics.show(shards)
            await asyncio.to_thread(gauges.refresh, shards)
            return Response(body=generate_latest(metrics.registry), headers={"Content-Type": CONTENT_TYPE_LATEST})


def _why_not_ready(shards: Sequence[ShardStatus], handler: BatchHandler) -> str | None:
    if handler.fault:
        return f"batches are held up: {handler.fault.reason}"
    if not shards:
        return "no shard of the stream is known yet"
    now = datetime.now(UTC)
    for shard in shards:
        if shard.ended:
            continue
        if shard.owner is None:
            return f"shard {shard.shard_id} has no owner yet"
        if shard.last_polled_at is not None and now - shard.last_polled_at > STALE_AFTER:
            return f"shard {shard.shard_id} has not been read since {shard.last_polled_at.isoformat()}"
    return None


def _shard(shard: ShardStatus) -> dict[str, object]:
    return {
        "shardId": shard.shard_id,
        "owner": shard.owner,
        "checkpoint": shard.checkpoint,
        "millisBehindLatest": shard.millis_behind_latest,
        "ended": shard.ended,
    }
