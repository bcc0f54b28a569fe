"""Signing in and out."""

import re
from http import HTTPStatus
from math import ceil
from typing import Final

import structlog
from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from console.http.guard import COOKIE, Guard
from console.http.site import site_of
from ledger.runtime.auth import Scope, UnauthenticatedError

log = structlog.get_logger(__name__)
router = APIRouter()

#: Where somebody may be sent after signing in: a path here, and no other host.
_OWN_PATH: Final = re.compile(r"/(?![/\\])[A-Za-z0-9._~!$&'()*+,;=:@%/-]*")


@router.get("/sign-in")
async def sign_in(request: Request) -> Response:
    """Ask for a token."""
    return site_of(request).page(request, "sign_in.html", next=_next(request), failure=None)


@router.post("/sign-in")
async def begin(request: Request) -> Response:
    """Begin a session for whoever has a token."""
    site, guard = site_of(request), request.app.state.guard
    assert isinstance(guard, Guard)
    address = request.client.host if request.client else ""
    if wait := site.attempts.wait(address):
        failure = f"Too many attempts: wait {ceil(wait)} s."
        response: Response = site.page(
            request, "sign_in.html", status=HTTPStatus.TOO_MANY_REQUESTS, next=_next(request), failure=failure
        )
        response.headers["Retry-After"] = str(ceil(wait))
        return response
    try:
        principal = site.access.verify(f"Bearer {request.state.form.get('token', '').strip()}")
    except UnauthenticatedError:
        site.attempts.failed(address)
        site.counters.refused_sign_ins.inc()
        log.warning("sign_in_refused", client=address, action="none, unless it goes on")
        failure = "This is no token of this console's: `kinfold token` makes one, and KINFOLD_TOKENS has its line."
        return site.page(request, "sign_in.html", status=HTTPStatus.UNAUTHORIZED, next=_next(request), failure=failure)
    if Scope.READ not in principal.scopes:
        failure = f"Token {principal.name} has no scope read, which looking needs."
        return site.page(request, "sign_in.html", status=HTTPStatus.FORBIDDEN, next=_next(request), failure=failure)
    log.info("signed_in", client=principal.name)
    response = RedirectResponse(_next(request), HTTPStatus.SEE_OTHER)
    guard.set_cookie(response, site.sessions.begin(principal))
    return response


@router.post("/sign-out")
async def end(request: Request) -> Response:
    """End the session."""
    site_of(request).sessions.end(request.state.session)
    response = RedirectResponse("/sign-in", HTTPStatus.SEE_OTHER)
    response.delete_cookie(COOKIE, httponly=True, samesite="strict")
    return response


def _next(request: Request) -> str:
    given = request.query_params.get("next", "/")
    return given if _OWN_PATH.fullmatch(given) else "/"
