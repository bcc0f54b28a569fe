"""The figures of a second, by counters that may be unknown, silent or begun anew."""

import http.server
import io
import threading
from collections.abc import Iterator

import pytest
from rich.console import Console

from console.looking.service_metrics import ServiceMetrics
from kinfold.inspection.top import draw


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


def drawn(metrics: ServiceMetrics) -> str:
    """What a frame says of a second, once the counters are read again."""
    console = Console(file=io.StringIO(), width=100)
    metrics.read()
    draw(console, None, metrics)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().strip()


def test_rates_are_those_since_the_last_look(service: Counters) -> None:
    # The clock is read with every answer.
    clock = iter(range(0, 1000, 2))
    metrics = ServiceMetrics([f"http://127.0.0.1:{service.server_port}"], "secret", now=lambda: next(clock))
    assert drawn(metrics) == "-/s appended, -/s applied, lag -"
    service.total = 3000.0
    assert drawn(metrics) == "1,500/s appended, 1,500/s applied, lag -"
    assert service.authorization == "Bearer secret"
    service.total = None
    assert drawn(metrics) == "-/s appended, -/s applied, lag -"
    service.total = 5000.0
    # Over the time since it answered last.
    assert drawn(metrics) == "1,000/s appended, 1,000/s applied, lag -"
    service.total = 10.0
    assert drawn(metrics) == "5/s appended, 5/s applied, lag -", "it was started anew"


def test_a_service_that_asks_for_a_token_is_told_with_what_to_do(service: Counters) -> None:
    url = f"http://127.0.0.1:{service.server_port}"
    metrics = ServiceMetrics([url], "")
    service.total, service.otherwise = None, 401
    assert f"{url} asks for a token with the scope operate: --token or KINFOLD_TOKEN" in drawn(metrics)
    service.total = 1.0
    assert "asks for a token" not in drawn(metrics)


@pytest.mark.parametrize("urls", [[], ["http://127.0.0.1:1"]])
def test_a_service_that_is_not_known_or_silent_has_no_rate(urls: list[str]) -> None:
    metrics = ServiceMetrics(urls, "")
    metrics.read()
    assert drawn(metrics) == "-/s appended, -/s applied, lag -"
