"""The figures of a second, by counters that may be unknown, silent or begun anew."""

import http.server
import threading
from collections.abc import Iterator

import pytest

from kinfold.inspection.top import Rates


class Counters(http.server.ThreadingHTTPServer):
    """A service whose counter the test sets; None: it answers with ``otherwise``."""

    otherwise = 503
    total: float | None = 0.0
    authorization: str | None = None


@pytest.fixture
def service() -> Iterator[Counters]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            assert isinstance(self.server, Counters)
            self.server.authorization = self.headers.get("Authorization")
            self.send_response(self.server.otherwise if self.server.total is None else 200)
            self.end_headers()
            text = f"kinfold_writer_events_total {self.server.total}\n"
            text += f'kinfold_projector_applied_total{{table="a"}} {self.server.total}\n'
            text += 'kinfold_projector_applied_total{table="b"} 0.0\n'
            self.wfile.write(text.encode())

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Nothing."""

    with Counters(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def test_rates_are_those_since_the_last_look(service: Counters) -> None:
    clock = iter(range(100))
    url = f"http://127.0.0.1:{service.server_port}"
    rates = Rates(url, url, "secret", lambda: next(clock))
    rates.measure()
    assert (rates.appended, rates.applied) == ("-/s", "-/s")
    service.total = 3000.0
    rates.measure()
    # Two clock readings lie between two of one counter.
    assert (rates.appended, rates.applied) == ("1,500/s", "1,500/s")
    assert service.authorization == "Bearer secret"
    service.total = None
    rates.measure()
    assert rates.appended == "-/s"
    service.total = 5000.0
    rates.measure()
    assert rates.appended == "-/s", "nobody knows since when"
    service.total = 10.0
    rates.measure()
    assert rates.appended == "-/s", "it was started anew"


def test_a_service_that_asks_for_a_token_is_told_with_what_to_do(service: Counters) -> None:
    url = f"http://127.0.0.1:{service.server_port}"
    rates = Rates(url, None, None)
    service.total, service.otherwise = None, 401
    rates.measure()
    assert rates.refusal is not None
    assert f"{url} asks for a token with the scope operate: --token or KINFOLD_TOKEN" in rates.refusal
    service.total = 1.0
    rates.measure()
    assert rates.refusal is None


def test_a_service_that_is_not_known_has_no_rate() -> None:
    rates = Rates(None, "http://127.0.0.1:1", None)
    rates.measure()
    rates.measure()
    assert (rates.appended, rates.applied) == ("-/s", "-/s")
