"""The files of the documentation page as responses of our ASGI services."""

from starlette.responses import Response, StreamingResponse

from ledger.runtime.openapi.docs_page import File


def docs_response(file: File) -> Response:
    """The response that is this file, sent in chunks."""
    headers = {**file.headers, "Content-Length": str(len(file.content)), "Content-Type": file.media_type}
    return StreamingResponse(file.chunks(), headers=headers)
