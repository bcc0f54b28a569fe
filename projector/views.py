"""The projector's web: balances, health, readiness, metrics. Served by Faust's own web server."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import faust
import orjson
from aiohttp.web import Request, Response
from faust.web import View
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import TypeAdapter, ValidationError

from faust_kinesis.source import ShardStatus
from ledger.errors import TransientError
from ledger.identifiers import AccountId
from projector.handler import BatchHandler
from projector.metrics import Metrics
from projector.projections.balance_summary import BalanceSummary, to_json
from projector.read_model import SummaryTable

#: Seconds that a reader waits for its own write unless it says otherwise, the most it may ask for, and the first and
#: the longest pause between two looks at the table.
DEFAULT_WAIT: Final = 10.0
MAX_WAIT: Final = 60.0
FIRST_PAUSE: Final = 0.025
LONGEST_PAUSE: Final = 0.25
#: Seconds after which a passing fault makes the worker unhealthy, and not only not ready.
UNHEALTHY_AFTER: Final = 30.0
#: A shard that was not read for so long is not being followed.
STALE_AFTER: Final = timedelta(seconds=30)

_ACCOUNT_ID: Final[TypeAdapter[str]] = TypeAdapter(AccountId)

Status = Callable[[], Sequence[ShardStatus]]


def mount(app: faust.App, table: SummaryTable, handler: BatchHandler, metrics: Metrics, status: Status) -> None:
    """Add the projector's routes to the app's web server. ``status`` tells how the shards stand, at once."""

    @app.page("/balances/{account_id}")
    class Balance(View):
        """One account's summary; with ``min_version`` it waits until the summary is at least there."""

        async def get(self, request: Request, account_id: str) -> Response:
            try:
                _ACCOUNT_ID.validate_python(account_id)
                minimum = _whole(request.query, "min_version", 0)
                wait = min(float(_whole(request.query, "wait", int(DEFAULT_WAIT))), MAX_WAIT)
            except ValidationError:
                return problem(400, "bad-account-id", "an account id has 1 to 128 letters, digits or any of . _ : -")
            except ValueError as error:
                return problem(400, "bad-query", str(error))
            try:
                summary = await _at_least(table, account_id, minimum, wait, lambda: app.should_stop)
            except TransientError as error:
                return problem(503, "endpoint-unavailable", str(error), retry_after=1)
            if summary is not None and summary.version >= minimum:
                return _json(200, to_json(summary), {"ETag": f'"{summary.version}"'})
            if minimum == 0:
                return problem(404, "unknown-account", f"no event of account {account_id} was projected yet")
            reached = summary.version if summary else 0
            detail = f"the summary is at version {reached}, not yet at {minimum}; ask again"
            return problem(503, "not-there-yet", detail, retry_after=1, version=reached)

    @app.page("/health")
    class Health(View):
        """200 while the worker can do its work; 503 once a passing fault has held it up for long."""

        async def get(self, _request: Request) -> Response:
            fault = handler.fault
            if fault and fault.seconds > UNHEALTHY_AFTER:
                return problem(503, "held-up", f"for {fault.seconds:.0f} s: {fault.reason}", retry_after=5)
            return _json(200, {"status": "ok"})

    @app.page("/ready")
    class Ready(View):
        """200 while every shard is followed, by this worker or another, and no fault holds the batches up."""

        async def get(self, _request: Request) -> Response:
            shards = status()
            reason = _why_not_ready(shards, handler)
            if reason:
                return problem(503, "not-ready", reason, retry_after=1)
            return _json(200, {"status": "ready", "shards": [_shard(shard) for shard in shards]})

    @app.page("/metrics")
    class Figures(View):
        """The counters in Prometheus' text format."""

        async def get(self, _request: Request) -> Response:
            for shard in status():
                if shard.millis_behind_latest is not None:
                    metrics.millis_behind_latest.labels(shard.shard_id).set(shard.millis_behind_latest)
            return Response(body=generate_latest(metrics.registry), headers={"Content-Type": CONTENT_TYPE_LATEST})


def problem(status: int, kind: str, detail: str, *, retry_after: int | None = None, **more: Any) -> Response:
    """An error as problem details (RFC 9457)."""
    body = {"type": f"urn:kinfold:problem:{kind}", "title": kind.replace("-", " "), "status": status, "detail": detail}
    headers = {"Retry-After": str(retry_after)} if retry_after is not None else {}
    return _json(status, body | more, headers, content_type="application/problem+json")


def _json(
    status: int, body: object, headers: Mapping[str, str] | None = None, content_type: str = "application/json"
) -> Response:
    return Response(body=orjson.dumps(body), status=status, headers=headers, content_type=content_type)


async def _at_least(
    table: SummaryTable, account_id: str, minimum: int, wait: float, stopping: Callable[[], bool]
) -> BalanceSummary | None:
    """The summary once it is at ``minimum``, or as it is after ``wait`` seconds or when the worker stops.

    Looks at the table: any replica may have written it.
    """
    deadline = time.monotonic() + wait
    pause = FIRST_PAUSE
    while True:
        summary = await asyncio.to_thread(table.get, account_id)
        reached = summary is not None and summary.version >= minimum
        if minimum == 0 or reached or stopping() or time.monotonic() + pause > deadline:
            return summary
        await asyncio.sleep(pause)
        pause = min(pause * 2, LONGEST_PAUSE)


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
            return f"shard {shard.shard_id} was last read at {shard.last_polled_at.isoformat()}"
    return None


def _shard(shard: ShardStatus) -> dict[str, object]:
    return {
        "shardId": shard.shard_id,
        "owner": shard.owner,
        "checkpoint": shard.checkpoint,
        "millisBehindLatest": shard.millis_behind_latest,
        "ended": shard.ended,
    }


def _whole(query: Mapping[str, str], name: str, default: int) -> int:
    text = query.get(name, str(default))
    if not (text.isascii() and text.isdigit() and len(text) <= 15):
        raise ValueError(f"{name} is a whole number of 0 or more, not {text[:40]!r}")
    return int(text)
