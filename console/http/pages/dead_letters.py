"""Dead letters, grouped by reason, and one of them with its raw data for those who may see it."""

from collections import defaultdict

from fastapi import APIRouter, HTTPException, Request
from starlette.responses import Response

from console.http.site import query, site_of
from projector.dead_letters.letters import StoredLetter
from projector.dead_letters.redrive import NoSuchLetterError

router = APIRouter()

_STATES = ("open", "redriven", "skipped", "all")


@router.get("/dead-letters")
def dead_letters(request: Request) -> Response:
    """The letters of a state, the open ones unless ``state`` says otherwise."""
    site = site_of(request)
    state = query(request, {"state": "open"})["state"]
    state = state if state in _STATES else "open"
    groups: dict[str, list[StoredLetter]] = defaultdict(list)
    for each in site.components.letters.list():
        if state in ("all", each.state):
            groups[each.letter.reason].append(each)
    for letters in groups.values():
        letters.sort(key=lambda each: each.first_at)
    by_number = sorted(groups.items(), key=lambda group: -len(group[1]))
    return site.page(request, "dead_letters.html", groups=by_number, state=state, states=_STATES)


@router.get("/dead-letters/{letter_id}")
def dead_letter(request: Request, letter_id: str) -> Response:
    """One letter."""
    site = site_of(request)
    try:
        letter = site.components.redrive.letter(letter_id)
    except NoSuchLetterError as error:
        raise HTTPException(404, str(error)) from None
    operates = request.state.session.operates
    return site.page(request, "dead_letter.html", letter=letter, shown=letter.to_json(raw=operates))
