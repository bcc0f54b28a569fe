"""Routes that take what they declare: everything else that a client states is refused, before the body is parsed."""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request
from fastapi.dependencies.utils import get_flat_params
from fastapi.params import Header, Query
from fastapi.routing import APIRoute
from starlette.responses import Response

from ledger.runtime.request.head import RequestHead, Taken
from ledger.runtime.request.json_body import read_json


class _JsonRequest(Request):
    """A request whose JSON is read strictly."""

    async def json(self) -> Any:
        return read_json(await self.body())


class DeclaredRoute(APIRoute):
    """A route whose query parameters and fields are those of its function, as the OpenAPI document shows them.

    Its requests raise ProblemError: 400 for what it does not evaluate, 415 for a body that is no JSON.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler, behind the checks."""
        handle = super().get_route_handler()
        declared = get_flat_params(self.dependant)
        taken = Taken(
            parameters=frozenset(each.alias for each in declared if isinstance(each.field_info, Query)),
            fields=frozenset(each.alias.lower() for each in declared if isinstance(each.field_info, Header)),
        )
        has_body = self.body_field is not None

        async def checked(request: Request) -> Response:
            head = RequestHead.from_asgi(request.scope)
            head.check_taken(taken)
            if has_body:
                head.require_json()
            return await handle(_JsonRequest(request.scope, request.receive))

        return checked
