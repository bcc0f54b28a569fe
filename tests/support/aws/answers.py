"""A boto3 client whose requests are answered from memory: for tests of how botocore's events are used."""

from collections.abc import Iterator
from typing import Any

import boto3
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.compat import HTTPHeaders
from botocore.config import Config


class Answers:
    """A client of ``service`` that sends nothing: each request is kept in ``sent`` and gets ``status`` and ``body``.

    ``client`` is one that exists, in place of a new one.
    """

    def __init__(self, service: str, *, attempts: int = 1, client: Any = None) -> None:
        self.status = 200
        self.body = b"{}"
        self.sent: list[bytes] = []
        session = boto3.session.Session("test", "test", region_name="us-east-1")
        settings = Config(retries={"total_max_attempts": attempts, "mode": "standard"})
        self.client: Any = client or session.client(service, config=settings)  # type: ignore[call-overload]
        self.client.meta.events.register("before-send", self._answer)

    def _answer(self, request: AWSPreparedRequest, **_: object) -> AWSResponse:
        assert isinstance(request.body, bytes)
        self.sent.append(request.body)
        return AWSResponse(request.url, self.status, HTTPHeaders(), _Raw(self.body))


class _Raw:
    """The part of a urllib3 response that botocore reads."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self, *_: object, **__: object) -> Iterator[bytes]:
        yield self._body
