"""Responses of the projector's web server: JSON, and for every error a problem (ledger.runtime.problems)."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, ClassVar, Final

import orjson
import structlog
from aiohttp.web import (
    HTTPException,
    HTTPExpectationFailed,
    HTTPRequestEntityTooLarge,
    Request,
    RequestKey,
    Response,
    StreamResponse,
    middleware,
)
from faust.web import View

from ledger.errors import ConfigurationError, ResourceError, TransientError
from ledger.runtime.openapi.document import Operation
from ledger.runtime.problems import (
    AWS_REFUSES,
    BODY_TOO_LARGE,
    CORRELATION_HEADER,
    ENDPOINT_UNAVAILABLE,
    EXPECTATION_FAILED,
    INTERNAL_ERROR,
    MEDIA_TYPE,
    SECURITY_HEADERS,
    TABLE_REPLACED,
    UNREADABLE_HISTORY,
    UNREADABLE_ROW,
    UNUSABLE_RESOURCE,
    ProblemError,
    correlation_id,
    of_resource,
    of_status,
)
from ledger.runtime.request.head import RequestHead, Taken
from ledger.store.errors import CorruptHistoryError, TableReplacedError
from projector.engine.read_model import UnreadableRowError

log = structlog.get_logger(__name__)

Handler = Callable[[Request], Awaitable[StreamResponse]]
#: What a page that asks DynamoDB may be answered with.
STORED: Final = (ENDPOINT_UNAVAILABLE, AWS_REFUSES, UNUSABLE_RESOURCE, TABLE_REPLACED)
HEAD: Final = RequestKey("head", RequestHead)
_CORRELATION_ID: Final = RequestKey("correlation_id", str)


class Page(View):
    """A page of the web server. It takes what its operation declares; all else that a client states is refused.

    The docstring's first line is the operation's summary in the OpenAPI document, the rest its description.
    """

    described: ClassVar[Operation]
    taken: ClassVar[Taken]

    def __init_subclass__(cls) -> None:
        """Take what the operation declares."""
        super().__init_subclass__()
        cls.taken = cls.described.taken

    def get_methods(self) -> set[str]:
        """The methods that it serves: HEAD where it serves GET."""
        methods: set[str] = super().get_methods()
        return methods if "GET" in methods else methods - {"HEAD"}

    async def dispatch(self, request: Any) -> Any:
        """Serve a request. Raises ProblemError."""
        request[HEAD].check_taken(self.taken)
        return await super().dispatch(request)


def answer(body: object, headers: Mapping[str, str] | None = None) -> Response:
    """A response in JSON, of status 200."""
    return Response(body=orjson.dumps(body), headers=headers, content_type="application/json")


@middleware
async def request_context(request: Request, handler: Handler) -> StreamResponse:
    """Handle the request under its correlation id, and answer every error with a problem."""
    request_id = _begin(request)
    with structlog.contextvars.bound_contextvars(correlation_id=request_id):
        try:
            return await handler(request)
        except ProblemError as error:
            problem = error
        except TableReplacedError as error:
            problem = TABLE_REPLACED.of(str(error))
        except TransientError as error:
            problem = ENDPOINT_UNAVAILABLE.of(str(error))
        except (CorruptHistoryError, UnreadableRowError) as error:
            log.error("stored_data_unreadable", reason=str(error), path=request.path[:200], action="see the reason")  # noqa: TRY400
            problem = (UNREADABLE_ROW if isinstance(error, UnreadableRowError) else UNREADABLE_HISTORY).of(str(error))
        except (ResourceError, ConfigurationError) as error:
            log.error(  # noqa: TRY400 - the error says it all
                "resource_unusable",
                reason=str(error),
                path=request.path[:200],
                action="mend what the reason names",
            )
            problem = of_resource(error)
        except HTTPRequestEntityTooLarge:
            problem = BODY_TOO_LARGE.of(f"A request body has at most {request.client_max_size} bytes.")
        except HTTPException as error:
            allow = {name: value for name, value in error.headers.items() if name == "Allow"}
            problem = of_status(error.status, request.method, allow)
        except Exception:
            log.exception("request_failed", method=request.method, path=request.path[:200])
            problem = INTERNAL_ERROR.of()
    body = problem.render(request_id)
    response = Response(body=body, status=problem.type.status, headers=problem.headers, content_type=MEDIA_TYPE)
    if "Connection" in problem.headers:
        response.force_close()
    return response


def _begin(request: Request) -> str:
    """Read the head of a request, and name the request."""
    head = RequestHead(
        request.method,
        request.raw_path.partition("?")[0],
        request.raw_path.partition("?")[2],
        list(request.headers.items()),
    )
    request[HEAD] = head
    request[_CORRELATION_ID] = named = correlation_id(head.field(CORRELATION_HEADER))
    return named


async def complete_headers(request: Request, response: StreamResponse) -> None:
    """Add the headers that every response carries, and hide which server sends it."""
    if _CORRELATION_ID not in request and isinstance(response, HTTPExpectationFailed):
        # The one answer that aiohttp gives before any middleware.
        response.body = EXPECTATION_FAILED.of().render(_begin(request))
        response.headers.update({"Content-Type": MEDIA_TYPE, "Content-Length": str(len(response.body))})
    response.headers.pop("Server", None)
    for name, value in SECURITY_HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers[CORRELATION_HEADER] = request[_CORRELATION_ID]
