"""Output that takes no UTF-8 is no failure: every command writes what it has to say."""

import http.server
import os
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from ledger.runtime.aws import Clients
from ledger.store.tables import Names
from tests.support.accounts import stored_event
from tests.support.waiting import PATIENCE

pytestmark = [pytest.mark.integration, pytest.mark.acceptance]

ASCII = [{"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}]
ASCII_IDS = ["PYTHONIOENCODING", "LC_ALL"]


@pytest.fixture(params=ASCII, ids=ASCII_IDS)
def env(request: pytest.FixtureRequest, child_env: dict[str, str]) -> dict[str, str]:
    return {**child_env, **request.param}


def run(env: dict[str, str], *arguments: str) -> tuple[int, str]:
    answer = subprocess.run(
        [os.fsencode(each) for each in (sys.executable, "-m", "kinfold", *arguments)],
        env=env,
        capture_output=True,
        timeout=PATIENCE,
        check=False,
    )
    said = (answer.stdout + answer.stderr).decode(errors="backslashreplace")
    assert "Traceback" not in said, said
    return answer.returncode, said


@pytest.mark.parametrize("env", ASCII[1:], ids=ASCII_IDS[1:], indirect=True)
def test_every_kind_of_output(env: dict[str, str], bridge: None, clients: Clients, names: Names) -> None:
    poison = stored_event("mallory", event_type="Gru\N{LATIN SMALL LETTER SHARP S}")
    clients.dynamodb.put_item(TableName=names.events, Item=poison.to_item())
    for arguments, code in [
        (("bridge", "ensure"), 0),
        (("bridge", "hold", "--reason", "für später ✓"), 0),
        (("bridge", "status"), 0),
        (("bridge", "backfill", "--all"), 0),
        (("projector", "status"), 5),
        (("projector", "rebuild"), 0),
        (("projector", "verify"), 5),
        (("projector", "dead-letters", "list"), 0),
        (("projector", "dead-letters", "skip", "balance-summary~mallory~1", "--reason", "für später ✓"), 0),
        (("projector", "dead-letters", "list", "--state", "all"), 0),
        (("projector", "dead-letters", "show", "balance-summary~mallory~1"), 0),
        (("projector", "dead-letters", "show", "ü"), 1),
        (("projector", "generations", "list"), 0),
        (("--help",), 0),
        (("projector", "rebuild", "--help"), 0),
        (("projector", "ü"), 2),
    ]:
        assert run(env, *arguments)[0] == code, arguments


@pytest.fixture
def umlauts() -> Iterator[str]:
    """A service that answers in UTF-8."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = "für später ✓".encode()
            self.send_response(200 if self.path == "/well" else 503)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize(("path", "code"), [("/well", 0), ("/ill", 1)])
def test_what_somebody_else_said(env: dict[str, str], umlauts: str, path: str, code: int) -> None:
    ended, said = run(env, "health", umlauts + path)
    assert ended == code
    assert "r sp" in said


@pytest.mark.parametrize("setting", ["AWS_PROFILE", "KINFOLD_PROFILE"])
def test_what_the_environment_says(env: dict[str, str], setting: str) -> None:
    code, said = run({**env, setting: "gr\u00fcn"}, "bridge", "status")
    assert code == 2
    assert setting in said


@pytest.mark.parametrize("env", ASCII[:1], ids=ASCII_IDS[:1], indirect=True)
def test_the_demo(env: dict[str, str]) -> None:
    code, said = run(env, "demo", "--aggregates", "2", "--events", "10")
    assert code == 0, said
    assert "mismatched 0" in said
