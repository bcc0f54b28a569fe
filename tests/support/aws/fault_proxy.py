"""A proxy between a service and its endpoint that breaks one AWS service (errors, throttling, resets, silence).

Or it refuses one operation, as IAM does where a permission is missing, or throttles it.
"""

import http.client
import http.server
import json
import random
import re
import socket
import threading
import time
from types import TracebackType
from typing import Final, Self
from urllib.parse import urlsplit

#: How each service names itself in X-Amz-Target.
TARGETS: Final = {"DynamoDB": "DynamoDB", "Kinesis": "Kinesis"}
DENIED: Final = (
    "User: arn:aws:sts::123456789012:assumed-role/kinfold/i-1 is not authorized to perform: {action} on resource: "
    "arn:aws:{service}:us-east-1:123456789012:{resource} because no identity-based policy allows the {action} action"
)
THROTTLED: Final = b'{"__type":"ProvisionedThroughputExceededException","message":"slow down"}'


class FaultProxy:
    """Passes requests on to ``endpoint``, except those of a broken service, each of which fails in one of four ways."""

    def __init__(self, endpoint: str) -> None:
        self._broken: str | None = None
        self._denied: str | None = None
        self._throttled: str | None = None
        #: The access keys and session tokens that requests were signed with.
        self.credentials: set[str] = set()
        proxy, target = self, urlsplit(endpoint)

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                target = self.headers.get("X-Amz-Target", "")
                signed = re.search(r"Credential=([^/]+)/", self.headers.get("Authorization", ""))
                proxy.credentials |= {signed[1] if signed else "", self.headers.get("X-Amz-Security-Token", "")} - {""}
                if proxy.is_broken(target):
                    self._fail()
                elif proxy.is_throttled(target):
                    self._answer(400, THROTTLED, "application/x-amz-json-1.0")
                elif proxy.is_denied(target):
                    self._deny(target, body)
                else:
                    self._pass(body)

            def _fail(self) -> None:
                match random.randrange(4):
                    case 0:
                        self._answer(500, b"{}", "application/x-amz-json-1.0")
                    case 1:
                        self._answer(400, THROTTLED, "application/x-amz-json-1.0")
                    case 2:
                        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                        self.close_connection = True
                    case _:
                        time.sleep(2)
                        self.close_connection = True

            def _deny(self, target: str, body: bytes) -> None:
                service = "dynamodb" if target.startswith(TARGETS["DynamoDB"]) else "kinesis"
                asked = json.loads(body)
                name = asked.get("TableName") or asked.get("StreamName", "")
                resource = f"{'table' if service == 'dynamodb' else 'stream'}/{name}"
                action = f"{service}:{target.rpartition('.')[2]}"
                said = {
                    "__type": "com.amazon.coral.service#AccessDeniedException",
                    "Message": DENIED.format(action=action, service=service, resource=resource),
                }
                self._answer(400, json.dumps(said).encode(), "application/x-amz-json-1.0")

            def _pass(self, body: bytes) -> None:
                connection = http.client.HTTPConnection(target.hostname or "", target.port, timeout=60)
                headers = {name: value for name, value in self.headers.items() if name.lower() != "connection"}
                connection.request("POST", self.path, body, headers)
                response = connection.getresponse()
                content = response.read()
                connection.close()
                self._answer(response.status, content, response.getheader("Content-Type", ""))

            def _answer(self, status: int, content: bytes, content_type: str) -> None:
                self.send_response(status)
                self.send_header("Content-Type", content_type)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it
                """Nothing: the faults are the test's own."""

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request: object, client_address: object) -> None:
                """Nothing: a client that is killed breaks its connections."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def is_broken(self, target: str) -> bool:
        """Whether a request to this target fails now."""
        return self._broken is not None and target.startswith(TARGETS[self._broken])

    def is_denied(self, target: str) -> bool:
        """Whether a request to this target is refused for want of a permission."""
        return self._denied is not None and target.endswith(f".{self._denied}")

    def is_throttled(self, target: str) -> bool:
        """Whether a request to this target meets a limit now."""
        return self._throttled is not None and target.endswith(f".{self._throttled}")

    def throttle(self, operation: str) -> None:
        """Refuse every ``operation`` as too much, until ``mend``."""
        self._throttled = operation

    def deny(self, operation: str) -> None:
        """Refuse every ``operation``, such as PutItem, as IAM does, until ``mend``."""
        self._denied = operation

    def break_service(self, service: str) -> None:
        """Fail every request to ``service``, DynamoDB or Kinesis, until ``mend``."""
        self._broken = service

    def mend(self) -> None:
        """Pass everything on again."""
        self._broken = self._denied = self._throttled = None
