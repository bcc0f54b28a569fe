"""The operator's work over HTTP, for tokens with scope operate: dead letters, redrive, skip."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Final, get_args

import faust
from aiohttp.web import Request, Response

from ledger.aggregates.identifiers import ID_RULE, is_key
from ledger.runtime.problems import BAD_BODY, BAD_QUERY, DEAD_LETTER_CONFLICT, UNKNOWN_DEAD_LETTER
from ledger.runtime.request.head import Taken
from ledger.runtime.request.json_body import read_json
from projector.components import Components
from projector.dead_letters.letters import MAX_REASON, State, StoredLetter, is_usable_reason
from projector.dead_letters.redrive import DeadLetterError, NoSuchLetterError, Redriven
from projector.http.authentication import PRINCIPAL
from projector.http.responses import Page, answer

#: What a decision about a letter takes.
_DECIDING: Final = Taken(frozenset({"dry_run"}))


def mount_operations(app: faust.App, components: Components) -> None:
    """Add ``/dead-letters`` and what can be done with one."""

    @app.page("/dead-letters")
    class DeadLetters(Page):
        """The dead letters, the open ones unless ``state`` says otherwise; ``aggregate`` picks one aggregate's."""

        taken = Taken(frozenset({"state", "aggregate"}))

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

        async def get(self, _request: Request, letter_id: str) -> Response:
            return await _answered(lambda: components.redrive.letter(letter_id).to_json(raw=True))

    @app.page("/dead-letters/{letter_id}/redrive")
    class Redrive(Page):
        """Redrive the letter's aggregate; ``dry_run=true`` only reports what would happen."""

        taken = _DECIDING

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
        """Skip the letter's event for good: ``{"reason": "..."}``; ``dry_run=true`` only reports what would happen."""

        taken = _DECIDING

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
