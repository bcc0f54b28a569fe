"""The operator's work over HTTP, for tokens with scope operate: dead letters, redrive, skip."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Final, get_args

import faust
from aiohttp.web import Request, Response

from ledger.aggregates.identifiers import ID_RULE, is_key
from ledger.runtime.openapi.document import Operation, Parameter, Schema
from ledger.runtime.problems import (
    BAD_BODY,
    BAD_QUERY,
    DEAD_LETTER_CONFLICT,
    UNKNOWN_DEAD_LETTER,
    UNREADABLE_HISTORY,
    UNREADABLE_ROW,
)
from ledger.runtime.request.json_body import read_json
from projector.components import Components
from projector.dead_letters.letters import MAX_REASON, State, StoredLetter, is_usable_reason
from projector.dead_letters.redrive import DeadLetterError, NoSuchLetterError, Redriven
from projector.http.authentication import PRINCIPAL
from projector.http.responses import STORED, Page, answer
from projector.http.schemas import LETTER, LETTERS, REDRIVEN

_TAG: Final = "dead letters"
_ID: Final = Parameter("letter_id", "the dead letter", {"type": "string"}, "balance-summary~alice~7", "path")


def _deciding(body: Schema, *, required: bool) -> Operation:
    """What a decision about a letter takes and answers."""
    dry_run = Parameter("dry_run", "true: only report what would happen", {"enum": ["true", "false"]}, "true")
    problems = (
        *STORED,
        BAD_QUERY,
        BAD_BODY,
        UNKNOWN_DEAD_LETTER,
        DEAD_LETTER_CONFLICT,
        UNREADABLE_ROW,
        UNREADABLE_HISTORY,
    )
    return Operation(
        tag=_TAG,
        answer=REDRIVEN,
        parameters=(_ID, dry_run),
        problems=problems,
        body=body,
        body_required=required,
    )


def mount_operations(app: faust.App, components: Components) -> None:
    """Add ``/dead-letters`` and what can be done with one."""

    @app.page("/dead-letters")
    class DeadLetters(Page):
        """The dead letters: the open ones, unless another state is asked for."""

        described = Operation(
            tag=_TAG,
            answer=LETTERS,
            parameters=(
                Parameter("state", "in which state", {"enum": [*get_args(State), "all"], "default": "open"}, "open"),
                Parameter("aggregate", "of one aggregate, by its key", {"type": "string"}, "alice"),
            ),
            problems=(*STORED, BAD_QUERY),
        )

        async def get(self, request: Request) -> Response:
            state, aggregate_id = request.query.get("state", "open"), request.query.get("aggregate")
            if aggregate_id is not None and not is_key(aggregate_id):
                raise BAD_QUERY.of(f"aggregate: an id, or TYPE~ID, of {ID_RULE}")
            if state != "all" and state not in get_args(State):
                raise BAD_QUERY.of("a state is open, redriven, skipped or all")
            letters = await asyncio.to_thread(_chosen, components, aggregate_id, state)
            return answer({"deadLetters": [letter.to_json() for letter in letters]})

    @app.page("/dead-letters/{letter_id}")
    class DeadLetter(Page):
        """One dead letter, with its raw data."""

        described = Operation(tag=_TAG, answer=LETTER, parameters=(_ID,), problems=(*STORED, UNKNOWN_DEAD_LETTER))

        async def get(self, _request: Request, letter_id: str) -> Response:
            return await _answered(lambda: components.redrive.letter(letter_id).to_json(raw=True))

    @app.page("/dead-letters/{letter_id}/redrive")
    class Redrive(Page):
        """Redrive the letter's aggregate.

        Folds it on with today's code, from where it stands.
        """

        described = _deciding({"type": "object", "additionalProperties": False}, required=False)

        async def post(self, request: Request, letter_id: str) -> Response:
            by, dry_run = request[PRINCIPAL].name, _is_dry_run(request)
            if request.body_exists and read_json(await request.read()) != {}:
                raise BAD_BODY.of("a redrive takes nothing in its body: ?dry_run=true only reports what would happen")
            return await _redriven(
                _recording(components, "redrive", {"letterId": letter_id}, by, dry_run=dry_run),
                components,
                lambda: components.redrive.redrive(letter_id, components.new_projectors, by=by, dry_run=dry_run),
            )

    @app.page("/dead-letters/{letter_id}/skip")
    class Skip(Page):
        """Skip the letter's event for good.

        The read model goes on without it; the ledger keeps it.
        """

        described = _deciding(
            {
                "type": "object",
                "properties": {
                    "reason": {"type": "string", "maxLength": MAX_REASON, "description": "why, for the record"}
                },
                "required": ["reason"],
                "additionalProperties": False,
                "example": {"reason": "ticket 4711"},
            },
            required=True,
        )

        async def post(self, request: Request, letter_id: str) -> Response:
            by, dry_run = request[PRINCIPAL].name, _is_dry_run(request)
            why = _reason(await request.read())
            if why is None:
                raise BAD_BODY.of(f'a body like {{"reason": "ticket 4711"}}, at most {MAX_REASON} characters')
            return await _redriven(
                _recording(components, "skip", {"letterId": letter_id, "reason": why}, by, dry_run=dry_run),
                components,
                lambda: components.redrive.skip(letter_id, components.new_projectors, by=by, why=why, dry_run=dry_run),
            )


def _recording(
    components: Components, what: str, parameters: Mapping[str, str], by: str, *, dry_run: bool
) -> AbstractContextManager[dict[str, Any]]:
    """As the command of the same name is recorded, unless it only looks."""
    return (
        nullcontext({}) if dry_run else components.audit.recording(f"projector dead-letters {what}", parameters, by=by)
    )


async def _redriven(
    recording: AbstractContextManager[dict[str, Any]], components: Components, work: Callable[[], Redriven]
) -> Response:
    components.guard.check()

    def recorded() -> dict[str, Any]:
        with recording as details:
            done = work().to_json()
            details["result"] = done["result"]
            return done

    return await _answered(recorded)


async def _answered(work: Callable[[], dict[str, Any]]) -> Response:
    try:
        return answer(await asyncio.to_thread(work))
    except NoSuchLetterError as error:
        raise UNKNOWN_DEAD_LETTER.of(str(error)) from None
    except DeadLetterError as error:
        raise DEAD_LETTER_CONFLICT.of(str(error)) from None


def _chosen(components: Components, aggregate_id: str | None, state: str) -> list[StoredLetter]:
    letters = components.letters.list(aggregate_id=aggregate_id)
    return sorted((each for each in letters if state in ("all", each.state)), key=lambda letter: letter.first_at)


def _is_dry_run(request: Request) -> bool:
    """Raises ProblemError (400): neither true nor false."""
    given = request.query.get("dry_run", "false")
    if given not in {"true", "false"}:
        raise BAD_QUERY.of("dry_run is true or false")
    return given == "true"


def _reason(body: bytes) -> str | None:
    match read_json(body) if body else None:
        case {"reason": reason, **others} if not others and is_usable_reason(reason):
            return reason
    return None
