"""The read models over HTTP: one route a projection, which waits for a reader's own write."""

import asyncio
import contextlib
import hashlib
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

import faust
import orjson
from aiohttp.web import Request, Response

from ledger.runtime.openapi.document import Operation, Parameter, header
from ledger.runtime.problems import (
    BAD_QUERY,
    HALTED,
    NOT_THERE_YET,
    PRECONDITION_FAILED,
    UNREADABLE_ROW,
    bad_id,
    unknown,
)
from ledger.runtime.request.preconditions import TAGS, is_unchanged
from ledger.store.table_identity import TableGuard
from projector.engine.read_model_registry import ReadModels
from projector.http.responses import HEAD, STORED, Page
from projector.http.schemas import aggregate_schema
from projector.ingest.wakeups import Wakeups
from projector.projection import ALL_PARTS, Projection, Row

#: Seconds that a reader waits for its own write by default and at most, and the first and the longest pause between two
#: reads of the table.
DEFAULT_WAIT: Final = 10
MAX_WAIT: Final = 60
FIRST_PAUSE: Final = 0.025
MAX_PAUSE: Final = 0.25
#: Parts in one response, by default and at most.
MAX_PARTS: Final = 366


def mount_queries(
    app: faust.App, models: ReadModels, wakeups: Wakeups, guard: TableGuard, *, most_waiting: int
) -> None:
    """Add ``GET /{path}/{aggregate_id}`` for every projection; of more than ``most_waiting`` readers, none waits."""
    for projection in models.projections.values():
        _mount(app, projection, models, wakeups, guard, most_waiting)


def _mount(
    app: faust.App,
    projection: Projection[Any],
    models: ReadModels,
    wakeups: Wakeups,
    guard: TableGuard,
    most_waiting: int,
) -> None:
    @app.page(f"/{projection.path}/{{aggregate_id}}", name=f"{projection.name}-query")
    class Query(Page):
        """One aggregate in the projection.

        With `min_version`, a read of one's own write: it waits until the aggregate is at least there.
        """

        described = _described(projection)

        async def get(self, request: Request, aggregate_id: str) -> Response:
            guard.check()
            key = projection.key_of(aggregate_id)
            if key is None:
                kind = projection.aggregates[0]
                raise bad_id(kind.name, kind.ids.sentence)
            try:
                minimum = _whole(request.query, "min_version", 0)
                wait = min(_whole(request.query, "wait", DEFAULT_WAIT), MAX_WAIT)
                limit = min(_whole(request.query, "limit", MAX_PARTS), MAX_PARTS)
                period = _period(projection, request.query)
            except ValueError as error:
                raise BAD_QUERY.of(str(error)) from None
            if wakeups.waiting >= most_waiting:
                wait = 0
            with wakeups.of(key) as arrived:
                head = await _head(projection, models, key, minimum, wait, arrived, lambda: app.should_stop)
            parts: list[Row[Any]] = []
            if projection.part is not None and head is not None:
                parts = await asyncio.to_thread(models.active(projection).parts, key, *period, max(limit, 1))
            shown = _shown(projection, key, head, parts, minimum)
            conditions = request[HEAD].field("If-Match"), request[HEAD].field("If-None-Match")
            unchanged = is_unchanged(*conditions, shown.headers["ETag"])
            return Response(status=304, headers={"ETag": shown.headers["ETag"]}) if unchanged else shown


def _described(projection: Projection[Any]) -> Operation:
    kind, part = projection.aggregates[0], projection.part_name
    whole = {"type": "integer", "minimum": 0, "maximum": 10**15 - 1}
    tags = {"type": "string", "pattern": f"^({TAGS})$"}
    parameters = [
        Parameter(
            "aggregate_id", f"an id of the type {kind.name}, or a key (TYPE~ID)", {"type": "string"}, "alice", "path"
        ),
        Parameter("min_version", "wait until the aggregate is at this version", whole, 3),
        Parameter(
            "wait",
            f"for so many seconds at most; more than {MAX_WAIT} is {MAX_WAIT}",
            whole | {"default": DEFAULT_WAIT},
            5,
        ),
        Parameter("limit", f"how many parts at most, up to {MAX_PARTS}", whole | {"default": MAX_PARTS}, 7),
        Parameter("If-Match", "412 unless it names what is shown", tags, "*", "header"),
        Parameter("If-None-Match", "304 where it names what is shown", tags, '"3-0f343b0931126a20"', "header"),
    ]
    if part is not None:
        parameters += [
            Parameter("from", f"the first {part} to show", {"type": "string"}, "2026-01-01"),
            Parameter("to", f"the last {part} to show", {"type": "string"}, "2026-12-31"),
        ]
    return Operation(
        tag=projection.name,
        answer=aggregate_schema(projection),
        parameters=parameters,
        headers={"ETag": header("of what is shown", '"3-0f343b0931126a20"')},
        conditional=True,
        problems=(
            *STORED,
            BAD_QUERY,
            HALTED,
            NOT_THERE_YET,
            PRECONDITION_FAILED,
            UNREADABLE_ROW,
            unknown(kind.name, "alice"),
            bad_id(kind.name, kind.ids.sentence).type,
        ),
    )


def _shown(
    projection: Projection[Any], aggregate_id: str, head: Row[Any] | None, parts: list[Row[Any]], minimum: int
) -> Response:
    version = head.version if head else 0
    halted = head.halted if head else None
    if version < minimum and halted is not None:
        detail = f"{aggregate_id} is halted at version {version}: {halted.reason}"
        raise HALTED.of(detail, version=version, halted=halted.to_json())
    if version < minimum:
        detail = f"{aggregate_id} is at version {version} here, not yet at {minimum}; ask again"
        raise NOT_THERE_YET.of(detail, version=version)
    if head is None:
        kind = projection.kind_of(aggregate_id)
        raise unknown(kind.name, aggregate_id).of(
            f"no event of {kind.name} {kind.id_of(aggregate_id)} was projected yet"
        )
    content = orjson.dumps(projection.page(head, parts))
    # Halts, repairs, rebuilds and parts change what is shown at one version.
    etag = f'"{version}-{hashlib.sha256(content).hexdigest()[:16]}"'
    return Response(body=content, headers={"ETag": etag}, content_type="application/json")


async def _head(
    projection: Projection[Any],
    models: ReadModels,
    aggregate_id: str,
    minimum: int,
    wait: float,
    arrived: asyncio.Event,
    stopping: Callable[[], bool],
) -> Row[Any] | None:
    """The head once it is at ``minimum``, or as it is when it is halted, after ``wait`` seconds, or at the end.

    Looks at the table, for any replica may have written it: at once when something ``arrived``, and from time to time.
    """
    deadline = time.monotonic() + wait
    pause = FIRST_PAUSE
    while True:
        arrived.clear()
        head = await asyncio.to_thread(lambda: models.active(projection).get(aggregate_id))
        reached = head is not None and (head.version >= minimum or head.halted is not None)
        if minimum == 0 or reached or stopping() or time.monotonic() + pause > deadline:
            return head
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(arrived.wait(), pause)
        pause = min(pause * 2, MAX_PAUSE)


def _whole(query: Mapping[str, str], name: str, default: int) -> int:
    text = query.get(name, str(default))
    if not (text.isascii() and text.isdigit() and len(text) <= 15):
        raise ValueError(f"{name} is a whole number of 0 or more, not {text[:40]!r}")
    return int(text)


def _period(projection: Projection[Any], query: Mapping[str, str]) -> tuple[str, str]:
    """The first and the last part that are asked for; without them, all after the head."""
    parse = projection.parse_part
    if parse is None:
        return ALL_PARTS
    bounds = []
    for name, default in zip(("from", "to"), ALL_PARTS, strict=True):
        try:
            bounds.append(parse(query[name]) if name in query else default)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None
    first, last = bounds
    if first > last:
        raise ValueError(f"from: {first} is after {last}, where the answer is to end")
    return first, last
