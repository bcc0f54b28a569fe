"""The middleware around every page: who asks, whether the form is ours, and the headers of every answer."""

import time
from http import HTTPStatus
from typing import Final
from urllib.parse import parse_qsl, quote

import structlog
from fastapi import Request
from starlette.middleware.base import RequestResponseEndpoint
from starlette.responses import HTMLResponse, RedirectResponse, Response

from console.access.sessions import Session
from console.http.site import Site
from console.operations.catalogue import BadFormError
from console.operations.jobs import BusyError
from ledger.errors import KinfoldError, TransientError
from ledger.runtime.auth import ANYBODY, OPERATIONS_PATHS, Scope
from ledger.runtime.problems import CORRELATION_HEADER, MEDIA_TYPE, ProblemError, correlation_id
from ledger.runtime.request.head import RequestHead
from ledger.runtime.request.origins import refuse_other_origins
from ledger.runtime.sockets import is_address

log = structlog.get_logger(__name__)

COOKIE: Final = "kinfold-console"
#: What is served without a session: it shows nothing of the ledger.
_OPEN: Final = frozenset({"/sign-in", "/health"})
_STATIC: Final = "/static/"
#: Bytes of a form.
_MAX_FORM: Final = 65_536
_MAX_FIELDS: Final = 50
#: OWASP, "Content Security Policy Cheat Sheet": nothing but our own, no inline script or style, no frame.
_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'"
    ),
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class Guard:
    """Admits requests to a site, and answers every error with a page."""

    def __init__(self, site: Site) -> None:
        self._site = site

    async def __call__(self, request: Request, call_next: RequestResponseEndpoint) -> Response:
        """Answer one request."""
        head = RequestHead.from_asgi(request.scope)
        request_id = correlation_id(head.field(CORRELATION_HEADER))
        began = time.perf_counter()
        way = self._site.histories.giving_way()
        with way, structlog.contextvars.bound_contextvars(correlation_id=request_id):
            try:
                head.check()
                if request.url.path in OPERATIONS_PATHS:
                    # For whoever runs the console, by a token as in every service: no browser, no session.
                    self._site.access.admit(head, Scope.OPERATE)
                    response = await call_next(request)
                else:
                    response = await self._admitted(head, request, call_next)
            except ProblemError as error:
                if request.url.path in OPERATIONS_PATHS:
                    body = error.render(request_id)
                    response = Response(body, error.type.status, dict(error.headers), media_type=MEDIA_TYPE)
                else:
                    response = self._failed(request, error.type.status, error.type.title, error.detail)
            except (BadFormError, BusyError) as error:
                status = HTTPStatus.CONFLICT if isinstance(error, BusyError) else HTTPStatus.BAD_REQUEST
                response = self._failed(request, status, status.phrase, str(error))
            except KinfoldError as error:
                log.warning("page_failed", path=request.url.path[:200], reason=str(error), action="see the reason")
                status = HTTPStatus.SERVICE_UNAVAILABLE
                said = "Try again." if isinstance(error, TransientError) else "Mend what the reason names."
                response = self._failed(request, status, status.phrase, f"{error}. {said}")
            except Exception:
                log.exception("request_failed", method=request.method, path=request.url.path[:200])
                status = HTTPStatus.INTERNAL_SERVER_ERROR
                response = self._failed(request, status, status.phrase, f"The log of the console has {request_id}.")
        self._site.counters.responses.labels(str(response.status_code)).inc()
        response.headers.update(_HEADERS)
        response.headers[CORRELATION_HEADER] = request_id
        response.headers["Server-Timing"] = f"page;dur={(time.perf_counter() - began) * 1000:.1f}"
        if not request.url.path.startswith(_STATIC):
            response.headers["Cache-Control"] = "no-store"
        if self._site.settings.console_https:
            response.headers["Strict-Transport-Security"] = "max-age=31536000"
        return response

    async def _admitted(self, head: RequestHead, request: Request, call_next: RequestResponseEndpoint) -> Response:
        site, path = self._site, request.url.path
        if site.access.open:
            # By DNS rebinding a name of somebody else's may lead here; an address and localhost cannot be made to.
            if not is_address((head.field("Host") or "").lower()):
                return self._failed(
                    request,
                    HTTPStatus.MISDIRECTED_REQUEST,
                    "Not under this name",
                    "Without tokens the console is served by its address or localhost alone.",
                )
            refuse_other_origins(head)
        session = site.sessions.find(request.cookies.get(COOKIE))
        begun = None
        if session is None and site.access.open and path != "/health":
            session = begun = site.sessions.begin(ANYBODY)
        request.state.session = session
        if session is None and path not in _OPEN and not path.startswith(_STATIC):
            after = quote(path, safe="/") if request.method == "GET" else "/"
            return RedirectResponse(f"/sign-in?next={after}", HTTPStatus.SEE_OTHER)
        if request.method == "POST":
            request.state.form = await _form(request)
            if refusal := self._refusal(request, session):
                return refusal
        response = await call_next(request)
        if begun is not None:
            self.set_cookie(response, begun)
        return response

    def _refusal(self, request: Request, session: Session | None) -> Response | None:
        """Why a form is not taken: it was not served to this session, or this one may only look."""
        csrf = request.state.form.pop("csrf", "")
        if request.url.path == "/sign-in":
            # It is served to nobody in particular; SameSite and Origin keep other sites' forms away.
            origin = request.headers.get("origin")
            host = request.headers.get("host", "")
            if origin is None or origin.partition("://")[2] == host:
                return None
        elif session is not None and session.has_made(csrf):
            if session.operates or request.url.path == "/sign-out":
                return None
            return self._failed(
                request, HTTPStatus.FORBIDDEN, "Only to look", "Your token has no scope operate, which acting needs."
            )
        return self._failed(
            request, HTTPStatus.FORBIDDEN, "An old form", "The form is of another session: go back, reload, try again."
        )

    def set_cookie(self, response: Response, session: Session) -> None:
        """Have the browser bring the session along: to this site only, and never to a script."""
        settings = self._site.settings
        response.set_cookie(
            COOKIE,
            session.id,
            max_age=settings.console_session,
            httponly=True,
            secure=settings.console_https,
            samesite="strict",
        )

    def _failed(self, request: Request, status: int, title: str, detail: str) -> HTMLResponse:
        return self._site.page(request, "error.html", status=status, title=title, detail=detail)


async def _form(request: Request) -> dict[str, str]:
    """The fields of a form, each once. Raises BadFormError."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MAX_FORM:
            raise BadFormError(f"a form has at most {_MAX_FORM} bytes")
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=_MAX_FIELDS, errors="strict")
    except ValueError:
        raise BadFormError("it is no form as a browser sends it") from None
    if len({name for name, _ in pairs}) < len(pairs):
        raise BadFormError("a field is given twice")
    return dict(pairs)
