"""The read models over HTTP: one route a projection, which waits for a reader's own write."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

import faust
from aiohttp.web import Request, Response
from faust.web import View
from pydantic import TypeAdapter, ValidationError

from ledger.domain.identifiers import AccountId
from ledger.runtime.problems import BAD_ACCOUNT_ID, BAD_QUERY, HALTED, NOT_THERE_YET, UNKNOWN_ACCOUNT
from ledger.store.table_identity import TableGuard
from projector.engine.read_model_registry import ReadModels
from projector.http.responses import answer
from projector.ingest.wakeups import Wakeups
from projector.projection import HEAD, Projection, Row

#: Seconds that a reader waits for its own write by default and at most, and the first and the longest pause between two
#: reads of the table.
DEFAULT_WAIT: Final = 10
MAX_WAIT: Final = 60
FIRST_PAUSE: Final = 0.025
MAX_PAUSE: Final = 0.25
#: Parts in one response, by default and at most.
MAX_PARTS: Final = 366

_ACCOUNT_ID: Final[TypeAdapter[str]] = TypeAdapter(AccountId)


def mount_queries(
    app: faust.App, models: ReadModels, wakeups: Wakeups, guard: TableGuard, *, most_waiting: int
) -> None:
    """Add ``GET /{path}/{account_id}`` for every projection; of more than ``most_waiting`` readers, none waits."""
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
    @app.page(f"/{projection.path}/{{account_id}}", name=f"{projection.name}-query")
    class Query(View):
        """One account in the projection; with ``min_version`` it waits until the account is at least there."""

        async def get(self, request: Request, account_id: str) -> Response:
            guard.check()
            try:
                _ACCOUNT_ID.validate_python(account_id)
                minimum = _whole(request.query, "min_version", 0)
                wait = min(_whole(request.query, "wait", DEFAULT_WAIT), MAX_WAIT)
                limit = min(_whole(request.query, "limit", MAX_PARTS), MAX_PARTS)
            except ValidationError:
                raise BAD_ACCOUNT_ID.of() from None
            except ValueError as error:
                raise BAD_QUERY.of(str(error)) from None
            if wakeups.waiting >= most_waiting:
                wait = 0
            with wakeups.of(account_id) as arrived:
                head = await _head(projection, models, account_id, minimum, wait, arrived, lambda: app.should_stop)
            parts: list[Row[Any]] = []
            if projection.part is not None and head is not None:
                first, last = request.query.get("from") or '"', request.query.get("to") or "~"
                model = models.active(projection)
                parts = await asyncio.to_thread(model.parts, account_id, first, last, max(limit, 1))
            return _shown(projection, account_id, head, parts, minimum)


def _shown(
    projection: Projection[Any], account_id: str, head: Row[Any] | None, parts: list[Row[Any]], minimum: int
) -> Response:
    version = head.version if head else 0
    halted = head.halted if head else None
    if version < minimum and halted is not None:
        detail = f"account {account_id} is halted at version {version}: {halted.reason}"
        raise HALTED.of(detail, version=version, halted=halted.to_json())
    if version < minimum:
        detail = f"account {account_id} is at version {version} here, not yet at {minimum}; ask again"
        raise NOT_THERE_YET.of(detail, version=version)
    if head is None:
        raise UNKNOWN_ACCOUNT.of(f"no event of account {account_id} was projected yet")
    body = projection.to_json(head)
    if projection.part_name:
        body |= {f"{projection.part_name}s": [_part(projection, row) for row in parts]}
    return answer(body, {"ETag": f'"{version}"'})


def _part(projection: Projection[Any], row: Row[Any]) -> dict[str, Any]:
    shown = projection.to_json(row)
    del shown["accountId"]
    return shown


async def _head(
    projection: Projection[Any],
    models: ReadModels,
    account_id: str,
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
        head = await asyncio.to_thread(lambda: models.active(projection).get(account_id))
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


assert HEAD < '"', "a query for all parts starts after the head"
