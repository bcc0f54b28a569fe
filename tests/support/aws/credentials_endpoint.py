"""Where a container of ECS or EKS, or an instance of EC2, gets its role's credentials; it can fail."""

import json
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

from kinfold.local.embedded_aws import DUMMY_CREDENTIALS


class CredentialsEndpoint:
    """Credentials over HTTP on the loopback interface until the block ends.

    They end ``seconds`` after they were given. The SDK wants new ones from ten minutes before that, for every request.
    """

    def __init__(self, seconds: float = 3) -> None:
        self.asked = 0
        self._answer: tuple[int, bytes] | None = None
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                endpoint.asked += 1
                given = b"role" if self.path.endswith("/security-credentials/") else _credentials(seconds)
                self._give(*(endpoint._answer or (200, given)))

            def do_PUT(self) -> None:
                self._give(*(endpoint._answer or (200, b"token")))

            def _give(self, status: int, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        """Where it answers, also as the metadata service of EC2."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def environment(self) -> dict[str, str]:
        """What ECS and EKS put into a container's environment."""
        return {"AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{self.url}/role"}

    def fail(self, status: int, body: bytes) -> None:
        """Answer every request so from now on."""
        self._answer = status, body

    def mend(self) -> None:
        """Give credentials again."""
        self._answer = None

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, name="credentials-endpoint", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def _credentials(seconds: float) -> bytes:
    expiration = (datetime.now(UTC) + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")
    return json.dumps(
        {
            "AccessKeyId": DUMMY_CREDENTIALS["AWS_ACCESS_KEY_ID"],
            "SecretAccessKey": DUMMY_CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
            "Token": "token",
            "Expiration": expiration,
        }
    ).encode()
