"""Joins boto3 to the in-memory AWS: a client's requests are answered at botocore's ``before-send``.

The SDK's methods, paginators, waiters, hooks, retries, errors and, for what is not plain JSON, its parsers are the real
ones. What only a wire needs is left out, most of a call's CPU: validation, which the in-memory AWS does, headers,
signatures, checksums, and finding the host.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from unittest.mock import patch

import orjson
from botocore import handlers
from botocore.endpoint import convert_to_response_dict
from botocore.exceptions import EndpointConnectionError, HTTPClientError
from botocore.retries import standard
from botocore.retries.quota import RetryQuota

from simulation.aws.wire.network import Network, Response
from simulation.aws.wire.plain_json import Reader, reader

#: What the JSON of a binary attribute holds.
_BINARY: Final = b'"B"'


#: By service and operation; making one costs as much as some hundred calls.
Readers = dict[tuple[str, str], Reader | None]


class Connection:
    """Joins boto3 clients to whatever network there is at the moment; clients are costly, so runs share them."""

    def __init__(self) -> None:
        self.network: Network | None = None
        self._budgets: dict[int, RetryQuota] = {}
        self._readers: Readers = {}

    def join(self, client: Any) -> None:
        """Have a client's calls carried by the network."""
        service = client.meta.service_model.service_name
        timeout = float(client.meta.config.read_timeout)

        def respond(request: _Request, event_name: str, **_: Any) -> Response:
            if self.network is None:
                raise EndpointConnectionError(endpoint_url=request.url)
            operation = f"{service}.{event_name.rpartition('.')[2]}"
            return self.network.call(operation, request.url, request.body, timeout)

        client.meta.events.register(f"before-send.{service}", respond)
        for handler in (handlers.add_recursion_detection_header, handlers.inject_api_version_header_if_needed):
            client.meta.events.unregister("before-call", handler)
        self._budgets[id(client)] = _retry_budget(client)
        client._make_api_call = _Calls(client, self._readers)

    def renew(self, client: Any) -> None:
        """Forget what earlier calls have left in a client: the budget of its retries."""
        budget = self._budgets[id(client)]
        budget.__init__()  # type: ignore[misc]


def _retry_budget(client: Any) -> RetryQuota:
    """Make the client's retry handler anew, to get hold of its budget, which lasts as long as the client."""
    identifier = client.meta.service_model.service_id.hyphenize()
    client.meta.events.unregister(f"needs-retry.{identifier}", unique_id=f"retry-config-{identifier}")
    found: list[RetryQuota] = []

    class Kept(RetryQuota):
        def __init__(self) -> None:
            super().__init__()
            found.append(self)

    with patch.object(standard.quota, "RetryQuota", Kept):
        standard.register_retry_handler(client, max_attempts=client.meta.config.retries["total_max_attempts"])
    return found[0]


@dataclass(slots=True)
class _Request:
    url: str
    body: bytes
    context: dict[str, Any]


class _Operation:
    """An operation's model, and who listens to its events: looked up once."""

    def __init__(self, client: Any, name: str, readers: Readers) -> None:
        self.name = name
        self.model = client.meta.service_model.operation_model(name)
        self.before_parameter_build = self._event(client, "before-parameter-build")
        self.before_call = self._event(client, "before-call")
        self.before_send = self._event(client, "before-send")
        self.before_parse = self._event(client, "before-parse")
        self.after_call = self._event(client, "after-call")
        #: Turns its JSON into what botocore returns; None: only botocore's parser does.
        self.read: Reader | None = None
        if not self._listeners(client, "before-parse"):
            place = self.model.service_model.service_name, name
            if place not in readers:
                readers[place] = reader(self.model.output_shape)
            self.read = readers[place]

    def _listeners(self, client: Any, name: str) -> Sequence[Callable[..., Any]]:
        event = f"{name}.{client.meta.service_model.service_id.hyphenize()}.{self.name}"
        found: Sequence[Callable[..., Any]] = client.meta.events._emitter._handlers.prefix_search(event)
        return found

    def _event(self, client: Any, name: str) -> Callable[..., Any]:
        """Calls the listeners, the most specific first, until one answers."""
        event = f"{name}.{client.meta.service_model.service_name}.{self.name}"
        listeners = self._listeners(client, name)

        def emit(**about: Any) -> Any:
            for listener in listeners:
                answer = listener(event_name=event, **about)
                if answer is not None:
                    return answer
            return None

        return emit


class _Calls:
    """A client's calls, on the way of botocore's ``BaseClient._make_api_call`` and ``Endpoint._send_request``."""

    def __init__(self, client: Any, readers: Readers) -> None:
        self._client = client
        self._readers = readers
        self._operations: dict[str, _Operation] = {}

    def __call__(self, operation_name: str, api_params: dict[str, Any]) -> dict[str, Any]:
        operation = self._operations.get(operation_name)
        if operation is None:
            operation = self._operations[operation_name] = _Operation(self._client, operation_name, self._readers)
        context: dict[str, Any] = {}
        operation.before_parameter_build(params=api_params, model=operation.model, context=context)
        body = orjson.dumps(api_params, default=_encoded, option=orjson.OPT_PASSTHROUGH_DATETIME)
        request = {"url": self._client.meta.endpoint_url, "body": body, "context": context}
        operation.before_call(params=request, model=operation.model, context=context)
        response, answer = self._answered(operation, _Request(**request))
        operation.after_call(http_response=response, parsed=answer, model=operation.model, context=context)
        if response.status_code >= 300:
            raise self._client.exceptions.from_code(answer["Error"]["Code"])(answer, operation_name)
        return answer

    def _answered(self, operation: _Operation, request: _Request) -> tuple[Response, dict[str, Any]]:
        """Send a request, as often as the SDK's retries do."""
        attempt = 1
        while True:
            answered, error = None, None
            try:
                response = operation.before_send(request=request)
                answered = response, self._parsed(operation, response)
            except HTTPClientError as failure:
                error = failure
            if answered is not None and answered[0].status_code == 200:
                break
            if not self._retried(attempt, operation, request, answered, error):
                break
            attempt += 1
        if answered is None:
            assert error is not None
            raise error
        answered[1]["ResponseMetadata"]["RetryAttempts"] = attempt - 1
        return answered

    def _retried(self, attempt: int, operation: _Operation, request: _Request, *came: Any) -> bool:
        """Whether the SDK sends the request again; waits as long as it does."""
        again: bool = self._client._endpoint._needs_retry(attempt, operation.model, {"context": request.context}, *came)
        return again

    def _parsed(self, operation: _Operation, response: Response) -> dict[str, Any]:
        answer: dict[str, Any]
        if response.status_code == 200 and operation.read is not None and _BINARY not in response.content:
            answer = orjson.loads(response.content)
            operation.read(answer)
            answer["ResponseMetadata"] = {"HTTPStatusCode": 200, "HTTPHeaders": {}}
            return answer
        model, endpoint, custom = operation.model, self._client._endpoint, dict[str, Any]()
        received = convert_to_response_dict(response, model)
        operation.before_parse(operation_model=model, response_dict=received, customized_response_dict=custom)
        parser = endpoint._response_parser_factory.create_parser(model.service_model.resolved_protocol)
        answer = parser.parse(received, model.output_shape) | custom
        if response.status_code >= 300:
            endpoint._add_modeled_error_fields(received, answer, model, parser)
        return answer


def _encoded(value: object) -> object:
    """As botocore's serializer for JSON: blobs in base64, times in seconds since 1970."""
    if isinstance(value, bytes | bytearray):
        return b64encode(value).decode()
    if isinstance(value, datetime):
        return value.timestamp()
    raise TypeError(f"not sent by a client: {type(value)}")
