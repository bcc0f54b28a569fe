"""``python -m kinfold.health``, as a container's health check calls it."""

import http.server
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest


@pytest.fixture
def service() -> Iterator[str]:
    """A service that is well at ``/200`` and ill at ``/503``, and asks for a token at ``/guarded``."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            known = self.headers["Authorization"] == "Bearer t0ken"
            self.send_response((200 if known else 401) if self.path == "/guarded" else int(self.path[1:]))
            self.end_headers()
            self.wfile.write("sp\u00e4t".encode())

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def check(url: str, *more: str, **env: str) -> tuple[int, bytes]:
    command = [sys.executable, "-m", "kinfold.health", url, *more]
    answer = subprocess.run(command, env={"PYTHONIOENCODING": "ascii", **env}, capture_output=True, check=False)
    return answer.returncode, answer.stdout


def test_it_says_whether_a_service_is_well(service: str) -> None:
    assert check(f"{service}/200") == (0, "sp\u00e4t\n".encode())
    assert check(f"{service}/200", "0.1")[0] == 0
    assert check(f"{service}/503") == (1, f"{service}/503 answers 503: sp\u00e4t\n".encode())
    for nobody in ("http://127.0.0.1:1/ready", "http://localhost:1/ready", "http://127.0.0.1:nonsense/"):
        code, said = check(nobody)
        assert (code, b"does not answer" in said) == (1, True)
    assert check(f"{service.replace('127.0.0.1', 'localhost')}/200") == (0, "sp\u00e4t\n".encode())


def test_it_shows_the_token_of_its_environment(service: str) -> None:
    code, said = check(f"{service}/guarded")
    assert code == 1
    assert said.endswith(b"It asks for a token of scope operate: --token or KINFOLD_TOKEN.\n")
    assert check(f"{service}/guarded", KINFOLD_TOKEN="t0ken")[0] == 0


def test_it_imports_no_more_than_it_needs() -> None:
    code = "import sys, kinfold.health; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert {name for name in said if name not in sys.stdlib_module_names and not name.startswith("_")} <= {
        *("kinfold", "sitecustomize", "distutils-precedence"),
    }
    assert not {"email", "http", "ssl", "urllib"} & {*said}
