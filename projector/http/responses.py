"""Answers of the projector's web: JSON, and problem details for every error."""

from collections.abc import Mapping
from typing import Any

import orjson
from aiohttp.web import Response


def answer(
    status: int, body: object, headers: Mapping[str, str] | None = None, content_type: str = "application/json"
) -> Response:
    """An answer in JSON."""
    return Response(body=orjson.dumps(body), status=status, headers=headers, content_type=content_type)


def problem(status: int, kind: str, detail: str, *, retry_after: int | None = None, **more: Any) -> Response:
    """An error as problem details (RFC 9457)."""
    body = {"type": f"urn:kinfold:problem:{kind}", "title": kind.replace("-", " "), "status": status, "detail": detail}
    headers = {"Retry-After": str(retry_after)} if retry_after is not None else {}
    return answer(status, body | more, headers, content_type="application/problem+json")
