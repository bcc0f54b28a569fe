"""The page that shows a service's OpenAPI document: Swagger UI, all of it served by the service itself.

A token that is typed in stays in the page's memory; the page sends it to its own origin, and no other one is asked for
anything: the page's Content-Security-Policy allows only that.
"""

import html
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import Final

from ledger.runtime.problems import SECURITY_HEADERS

#: Where the document and its page are, and where all is that the page loads.
DOCUMENT_PATH: Final = "/openapi.json"
PAGE_PATH: Final = "/docs"
PATHS: Final = frozenset(
    {
        DOCUMENT_PATH,
        PAGE_PATH,
        *(f"{PAGE_PATH}/{name}" for name in ("start.js", "swagger-ui.css", "swagger-ui-bundle.js")),
    }
)
#: W3C, "Content Security Policy Level 3". Swagger UI has its signs in URLs that hold the picture, and no inline script
#: or style.
PAGE_HEADERS: Final[Mapping[str, str]] = MappingProxyType(
    {
        **SECURITY_HEADERS,
        "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    }
)
#: Bytes of a chunk. A client that reads slowly keeps one of them in memory, never a whole file.
CHUNK: Final = 65_536

#: Addresses are relative, so that the page also works behind a proxy that puts a prefix before them. The icon is none,
#: or browsers ask for /favicon.ico.
_PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="docs/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<noscript>The OpenAPI document: <a href="openapi.json">openapi.json</a></noscript>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
</body>
</html>
"""
_START: Final = """const dark = matchMedia("(prefers-color-scheme: dark)");
const follow = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", follow);
follow();
SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  persistAuthorization: false,
  queryConfigEnabled: false,
  validatorUrl: null,
});
"""


@dataclass(frozen=True, slots=True)
class File:
    """What one of PATHS is answered with."""

    content: bytes
    media_type: str
    headers: Mapping[str, str]

    async def chunks(self) -> AsyncIterator[bytes]:
        """The content in pieces of CHUNK bytes, for a response that sends each once the last one is on its way."""
        for at in range(0, len(self.content), CHUNK):
            yield self.content[at : at + CHUNK]


def docs_files(title: str) -> Mapping[str, File]:
    """The page and all that it loads, by path; the document is not among them."""
    script = "text/javascript; charset=utf-8"
    return {
        PAGE_PATH: File(_PAGE.format(title=html.escape(title)).encode(), "text/html; charset=utf-8", PAGE_HEADERS),
        f"{PAGE_PATH}/start.js": File(_START.encode(), script, SECURITY_HEADERS),
        f"{PAGE_PATH}/swagger-ui-bundle.js": File(_bundled("swagger-ui-bundle.js"), script, SECURITY_HEADERS),
        f"{PAGE_PATH}/swagger-ui.css": File(_bundled("swagger-ui.css"), "text/css; charset=utf-8", SECURITY_HEADERS),
    }


def _bundled(name: str) -> bytes:
    """A file of Swagger UI, as fastapi-offline ships it; nothing of that package's code is run."""
    found = find_spec("fastapi_offline")
    assert found is not None, "fastapi-offline is a dependency"
    assert found.origin is not None
    return (Path(found.origin).parent / "static" / name).read_bytes()
