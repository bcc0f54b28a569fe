"""The way between a client and the in-memory AWS: every call is two points at which anything may happen to it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any, Protocol

import orjson
from botocore.exceptions import EndpointConnectionError, ReadTimeoutError

from simulation.aws.errors import AwsError

Request = dict[str, Any]
Handler = Callable[[Request], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Fate:
    """What becomes of one call.

    ``out`` and ``back``: seconds on the way to AWS and back. ``refused``: AWS answers so, and does nothing.
    ``unreachable``: the request never arrives. ``lost``: the answer never arrives; with ``late``, the request itself
    arrives only that many seconds after its caller gave it up. ``after``: what happens to the answer of a batch.
    """

    out: float = 0.0
    back: float = 0.0
    refused: AwsError | None = None
    unreachable: bool = False
    lost: bool = False
    late: float | None = None


@dataclass(slots=True)
class Response:
    """An HTTP response, as far as botocore reads it."""

    status_code: int
    content: bytes
    headers: dict[str, str] = field(default_factory=dict)


class Weather(Protocol):
    """Decides the fate of each call."""

    def fate(self, operation: str, request: Request) -> Fate:
        """The fate of one call."""

    def partial(self, operation: str, request: Request) -> tuple[Request, Callable[[dict[str, Any]], None]] | None:
        """What of a batch is carried out, and what is added to its answer for the rest; None: all of it."""


class Network:
    """Carries calls to the operations of the in-memory AWS."""

    def __init__(
        self,
        operations: dict[str, Handler],
        weather: Weather,
        *,
        sleep: Callable[[float], None],
        later: Callable[[float, Callable[[], Any]], None],
        now: Callable[[], float],
        observe: Callable[[str, Request, str], None] = lambda *_: None,
    ) -> None:
        """``operations``: by name, such as ``dynamodb.PutItem``. ``observe`` hears of each call and what came of it."""
        self.calls = 0
        self._operations = operations
        self._weather = weather
        self._sleep = sleep
        self._later = later
        self._now = now
        self._observe = observe

    def call(self, operation: str, url: str, body: bytes, read_timeout: float) -> Response:
        """Carry one call there and back. Raises botocore's errors for one that does not come back."""
        self.calls += 1
        request: Request = orjson.loads(body)
        fate = self._weather.fate(operation, request)
        self._sleep(fate.out)
        if fate.unreachable:
            self._observe(operation, request, "never arrived")
            raise EndpointConnectionError(endpoint_url=url)
        if fate.refused is not None:
            self._observe(operation, request, fate.refused.code)
            self._sleep(fate.back)
            return _refusal(fate.refused)
        if fate.late is not None:
            self._later(read_timeout + fate.late, lambda: self._carry_out(operation, request, "late"))
            self._sleep(read_timeout)
            raise ReadTimeoutError(endpoint_url=url)
        response = self._carry_out(operation, request, "lost" if fate.lost else "")
        if fate.lost:
            self._sleep(read_timeout)
            raise ReadTimeoutError(endpoint_url=url)
        if fate.back:
            self._sleep(fate.back)
        return response

    def _carry_out(self, operation: str, request: Request, remark: str) -> Response:
        partial = self._weather.partial(operation, request)
        try:
            answer = self._operations[operation](request if partial is None else partial[0])
        except AwsError as error:
            self._observe(operation, request, f"{error.code} {remark}".rstrip())
            return _refusal(error)
        if partial is not None:
            partial[1](answer)
        self._observe(operation, request, f"ok {remark}".rstrip())
        headers = {"date": formatdate(self._now(), usegmt=True)} if operation == "kinesis.ListShards" else {}
        return Response(200, orjson.dumps(answer), headers)


def _refusal(error: AwsError) -> Response:
    body = {"__type": error.code, "message": error.message, **error.members}
    return Response(error.status, json.dumps(body).encode())
