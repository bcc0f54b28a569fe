"""The aggregates of a projection over HTTP, a page at a time."""

import asyncio
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

import faust
import orjson
from aiohttp.web import Request, Response

from ledger.runtime.openapi.document import Operation, Parameter, header
from ledger.runtime.problems import BAD_QUERY, CURSOR_OUTDATED
from ledger.store.parallel_scan import Item
from ledger.store.table_identity import TableGuard
from projector.engine.read_model import ReadModel, UnreadableRowError
from projector.engine.read_model_registry import ReadModels
from projector.http.responses import STORED, Page, answer
from projector.http.schemas import page_schema
from projector.projection import Projection

#: Aggregates in one page, by default and at most.
DEFAULT_LIMIT: Final = 100
MAX_LIMIT: Final = 1000
#: Rows that one call reads at most, and calls for one page: it costs no more, however few rows are what is asked for.
ROWS_AT_ONCE: Final = 1000
MAX_CALLS: Final = 8
#: Calls of all lists at once: readers of one aggregate have the other threads.
CALLS_AT_ONCE: Final = 2
#: AWS, "Amazon DynamoDB quotas": bytes in a partition key and in a sort key.
_MAX_KEY: Final = (2048, 1024)
_CURSOR: Final = re.compile(r"[A-Za-z0-9_-]{1,6000}", re.ASCII)
_NUMBER: Final = re.compile(r"[1-9][0-9]{0,3}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a page ended: a key of the table of one generation of a projection. Its text means something to us alone.

    It is a place in a scan and nothing more: whatever key a client puts into one, heads of its projection follow.
    """

    projection: str
    generation: int
    key: tuple[str, ...]

    def __str__(self) -> str:
        return urlsafe_b64encode(orjson.dumps([self.projection, self.generation, *self.key])).rstrip(b"=").decode()

    @classmethod
    def parse(cls, text: str, model: ReadModel[Any]) -> Self:
        """Read a cursor. Raises ValueError for what ``str`` has not written for a table of this projection."""
        try:
            read = orjson.loads(urlsafe_b64decode(text + "=" * (-len(text) % 4))) if _CURSOR.fullmatch(text) else None
        except ValueError:
            read = None
        match read:
            case [str(name), int(generation), *key] if (
                name == model.projection.name
                and len(key) == len(model.keys)
                and all(_is_key(each, most) for each, most in zip(key, _MAX_KEY, strict=False))
                and str(found := cls(name, int(generation), tuple(key))) == text
            ):
                return found
        raise ValueError("cursor: take it from `next` of the page before, or begin without one")

    def item(self, model: ReadModel[Any]) -> Item:
        """The key in DynamoDB's notation."""
        return {name: {"S": value} for name, value in zip(model.keys, self.key, strict=True)}


def _is_key(value: object, most: int) -> bool:
    return isinstance(value, str) and 0 < len(value.encode()) <= most


@dataclass(frozen=True, slots=True)
class _Found:
    """Heads, keys of aggregates whose head cannot be read, and where the next page begins."""

    heads: list[dict[str, Any]]
    unreadable: list[str]
    after: Item | None


def mount_lists(app: faust.App, models: ReadModels, guard: TableGuard) -> None:
    """Add ``GET /{path}`` for every projection."""
    turns = asyncio.Semaphore(CALLS_AT_ONCE)
    for projection in models.projections.values():
        _mount(app, projection, models, guard, turns)


def _mount(
    app: faust.App, projection: Projection[Any], models: ReadModels, guard: TableGuard, turns: asyncio.Semaphore
) -> None:
    path = f"/{projection.path}"
    cursor_of_example = Cursor(projection.name, 1, ("alice", *(["!"] if projection.part_name else [])))
    next_of_example = f'<{path}?cursor={cursor_of_example}&limit={DEFAULT_LIMIT}>; rel="next"'

    @app.page(path, name=f"{projection.name}-list")
    class List(Page):
        """The aggregates of the projection, a page at a time.

        In no order that means anything. Each is as it was when its page was read, and what is there from the first page
        to the last is shown once. `next` and the Link header lead on; a page may hold fewer aggregates than `limit`, or
        none, and still have a next one. After 410 begin again: a rebuild has put other rows in the place of these.
        """

        described = Operation(
            tag=projection.name,
            answer=page_schema(projection),
            parameters=(
                Parameter(
                    "limit",
                    "how many aggregates at most",
                    {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT},
                    DEFAULT_LIMIT,
                ),
                Parameter(
                    "cursor",
                    "where to go on, from `next` of the page before",
                    {"type": "string", "pattern": f"^{_CURSOR.pattern}$"},
                    str(cursor_of_example),
                ),
                Parameter("halted", "true: only those that are halted here", {"const": "true"}, "true"),
            ),
            headers={"Link": header("the next page, if there is one (RFC 8288)", next_of_example)},
            problems=(*STORED, BAD_QUERY, CURSOR_OUTDATED),
        )

        async def get(self, request: Request) -> Response:
            guard.check()
            model, cursor = await _place(models, projection, request.query)
            limit, halted = _limit(request.query), _halted(request.query)
            found = await _read(model, cursor.item(model) if cursor else None, limit, turns, halted=halted)
            following = None
            if found.after is not None:
                key = tuple(found.after[name]["S"] for name in model.keys)
                reached = Cursor(projection.name, model.generation, key)
                following = f"{path}?cursor={reached}&limit={limit}" + ("&halted=true" if halted else "")
            body = {"aggregates": found.heads, "unreadable": found.unreadable, "next": following}
            return answer(body, {"Link": f'<{following}>; rel="next"'} if following else None)


async def _place(
    models: ReadModels, projection: Projection[Any], query: Mapping[str, str]
) -> tuple[ReadModel[Any], Cursor | None]:
    """The generation that readers see, and the place in it.

    Raises ProblemError: 400 for no cursor of this projection, 410 for one of another generation.
    """
    model = await asyncio.to_thread(models.active, projection)
    if "cursor" not in query:
        return model, None
    try:
        cursor = Cursor.parse(query["cursor"], model)
    except ValueError as error:
        raise BAD_QUERY.of(str(error)) from None
    if cursor.generation != model.generation:
        # It may be of a flip that another replica has seen and this one has not.
        await asyncio.to_thread(models.refresh)
        model = await asyncio.to_thread(models.active, projection)
    if cursor.generation != model.generation:
        raise CURSOR_OUTDATED.of(
            f"{projection.name} was rebuilt after this cursor was made, and shows other rows now: begin without a "
            "cursor"
        )
    return model, cursor


async def _read(
    model: ReadModel[Any], after: Item | None, limit: int, turns: asyncio.Semaphore, *, halted: bool
) -> _Found:
    """Read on until a page is full, the table is at its end, or the page has cost enough."""
    heads, unreadable, count = list[dict[str, Any]](), list[str](), 0
    filtered = halted or model.projection.part_name is not None
    for _ in range(MAX_CALLS):
        rows = ROWS_AT_ONCE if filtered else limit - count
        async with turns:
            items, after = await asyncio.to_thread(model.heads, after, min(rows, ROWS_AT_ONCE), halted=halted)
        taken = items[: limit - count]
        for item in taken:
            try:
                heads.append(model.projection.to_json(model.row(item)))
            except UnreadableRowError as error:
                unreadable.append(error.aggregate_id)
        count += len(taken)
        if len(taken) < len(items):
            # Reading goes on after any key, also one that DynamoDB has not named for it.
            after = model.key(taken[-1]["aggregateId"]["S"])
        if after is None or count == limit:
            break
    return _Found(heads, unreadable, after)


def _limit(query: Mapping[str, str]) -> int:
    text = query.get("limit", str(DEFAULT_LIMIT))
    if not _NUMBER.fullmatch(text) or int(text) > MAX_LIMIT:
        raise BAD_QUERY.of(f"limit is a whole number from 1 to {MAX_LIMIT}, not {text[:40]!r}")
    return int(text)


def _halted(query: Mapping[str, str]) -> bool:
    if query.get("halted", "true") != "true":
        raise BAD_QUERY.of("halted is true, or left out for all aggregates")
    return "halted" in query
