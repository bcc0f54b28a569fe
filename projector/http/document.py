"""The projector's OpenAPI document, made of what its pages declare, and the page that shows it."""

from collections.abc import Callable
from contextlib import suppress
from functools import cache
from typing import Any, Final, cast

import faust
from aiohttp.web import Request, StreamResponse

from ledger.runtime.auth import Scope, needed_scope
from ledger.runtime.openapi.docs_page import DOCUMENT_PATH, File, docs_files
from ledger.runtime.openapi.document import Operation, document
from ledger.runtime.problems import BODY_TOO_LARGE, REQUEST_TIMEOUT
from projector.http.responses import Page, answer
from projector.http.schemas import projector_schemas

_TITLE: Final = "Kinfold projector"
_ABOUT: Final = "Read models of the ledger's events. Every error is a problem (RFC 9457)."


def mount_document(app: faust.App, scope_of: Callable[[str, str], Scope]) -> None:
    """Add ``/openapi.json``, which shows every page that is mounted before, and ``/docs``."""
    pages = {path: cast(Page, page) for path, page in app.web.views.items()}

    @cache
    def made() -> dict[str, Any]:
        operations = {
            (method, path): (page.__doc__ or "", page.described)
            for path, page in pages.items()
            for method in page.get_methods() - {"HEAD"}
        }
        return document(
            _TITLE,
            _ABOUT,
            operations,
            lambda method, path: needed_scope(method, path, scope_of),
            everywhere=(BODY_TOO_LARGE, REQUEST_TIMEOUT),
            schemas=projector_schemas(),
        )

    @app.page(DOCUMENT_PATH)
    class Document(Page):
        """The OpenAPI document."""

        described = Operation(tag="documentation", answer={"type": "object"})

        async def get(self, _request: Request) -> StreamResponse:
            return answer(made())

    for path, file in docs_files(_TITLE).items():
        _mount(app, path, file)


def _mount(app: faust.App, path: str, file: File) -> None:
    @app.page(path, name=path)
    class Documentation(Page):
        """The page that shows the document, and what it loads."""

        described = Operation(tag="documentation", answer={"type": "string"}, media_type=file.media_type)

        async def get(self, request: Request) -> StreamResponse:
            headers = {**file.headers, "Content-Type": file.media_type, "Content-Length": str(len(file.content))}
            response = StreamResponse(headers=headers)
            await response.prepare(request)
            if request.method != "HEAD":
                with suppress(ConnectionError):  # the client is gone
                    async for chunk in file.chunks():
                        await response.write(chunk)
            return response
