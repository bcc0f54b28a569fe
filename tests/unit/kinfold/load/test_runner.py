import json
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from kinfold.load.runner import LoadPlan, UnexpectedAnswerError, run_load
from kinfold.load.tally import LoadResult
from ledger.errors import ConfigurationError, EndpointError
from ledger.runtime.sockets import free_port

#: Status and headers for the n-th request (from 0); None closes the connection without an answer.
Script = Callable[[int], int | None]


@contextmanager
def writer(
    script: Script, authorizations: set[str] | None = None, *, carries_out_unanswered: bool = False
) -> Iterator[tuple[str, dict[str, int]]]:
    """A writer that answers as the script says, keeps each account's version, and replays what a key was used for."""
    versions: dict[str, int] = defaultdict(int)
    keys: dict[str, int] = {}
    lock = threading.Lock()
    seen = 0

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            nonlocal seen
            self.rfile.read(int(self.headers["Content-Length"]))
            key = self.headers["Idempotency-Key"]
            with lock:
                status = script(seen)
                seen += 1
                account = self.path.split("/")[2]
                replayed = key in keys
                if not replayed and (status == 201 or carries_out_unanswered):
                    versions[account] += 1
                    keys[key] = versions[account]
                if authorizations is not None:
                    authorizations.add(self.headers["Authorization"])
                if status is None:
                    self.close_connection = True
                    return
                body = json.dumps({"version": keys.get(key, 0)}).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Retry-After", "0")
            if replayed:
                self.send_header("Idempotency-Replayed", "true")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is inherited
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", versions
        server.shutdown()


def test_appends_exactly_as_many_events_as_asked_and_knows_every_version() -> None:
    seen: list[LoadResult] = []
    with writer(lambda _: 201) as (url, versions):
        result = run_load(url, LoadPlan(aggregates=5, events=203, writers=7), seen.append)
    assert (result.appended, sum(versions.values())) == (203, 203)
    assert result.versions == versions
    assert seen[-1] == result
    assert [progress.appended for progress in seen] == sorted(progress.appended for progress in seen)
    assert 0 < result.latency_p50_ms <= result.latency_p99_ms


def test_every_outcome_is_counted_and_the_load_goes_on() -> None:
    # The first dozen requests meet two of each outcome, whatever the order of threads.
    outcomes = [409, 422, 503, 500, None, 201] * 2
    with writer(lambda n: outcomes[n] if n < len(outcomes) else 201) as (url, versions):
        result = run_load(url, LoadPlan(aggregates=3, events=40, writers=2))
    assert (result.conflicts, result.refused, result.unavailable, result.lost) == (2, 2, 2, 4)
    assert (result.appended, sum(versions.values()), result.unknown) == (40, 40, 0)


@pytest.mark.parametrize("lost", [None, 500, 503])
def test_an_unanswered_command_is_sent_again_with_its_key_and_counts_once(lost: int | None) -> None:
    # The server carries the first command out and closes the connection, or answers something else.
    with writer(lambda n: lost if n == 0 else 201, carries_out_unanswered=True) as (url, versions):
        result = run_load(url, LoadPlan(aggregates=1, events=5, writers=1))
    assert (result.appended, sum(versions.values()), sum(result.versions.values())) == (5, 5, 5)
    assert (result.lost + result.unavailable, result.replayed, result.unknown) == (1, 1, 0)


def test_a_token_goes_with_every_command() -> None:
    seen: set[str] = set()
    with writer(lambda _: 201, seen) as (url, _):
        run_load(url, LoadPlan(events=3, token="kf_x"))
    assert seen == {"Bearer kf_x"}
    assert "kf_x" not in repr(LoadPlan(token="kf_x"))


@pytest.mark.parametrize("status", [404, 400, 200])
def test_something_else_than_a_writer_ends_the_load(status: int) -> None:
    with writer(lambda _: status) as (url, _), pytest.raises(UnexpectedAnswerError, match=f"answered {status}"):
        run_load(url, LoadPlan(events=10))


@pytest.mark.parametrize("status", [401, 403])
def test_a_writer_that_asks_for_a_token_ends_the_load_with_what_to_do(status: int) -> None:
    with (
        writer(lambda _: status) as (url, _),
        pytest.raises(ConfigurationError, match=r"scope write, by --token or KINFOLD_TOKEN; `kinfold token NAME"),
    ):
        run_load(url, LoadPlan(events=10))


def test_a_writer_that_confirms_nothing_ends_the_load_with_its_counts() -> None:
    with (
        writer(lambda _: 503) as (url, _),
        pytest.raises(EndpointError, match=r"confirmed no event for 1 s; 0 of 10 events"),
    ):
        run_load(url, LoadPlan(events=10, writers=2, stall_timeout=1))


@pytest.mark.parametrize("url", ["http://127.0.0.1:{}", "127.0.0.1:{}"])
def test_a_writer_that_is_not_there_is_not_waited_for(url: str) -> None:
    with pytest.raises(EndpointError, match="no writer answers at"):
        run_load(url.format(free_port()), LoadPlan(events=10, stall_timeout=3600))


def test_runs_do_not_share_accounts() -> None:
    assert LoadPlan().prefix != LoadPlan().prefix
    with pytest.raises(ConfigurationError):
        LoadPlan(writers=0)
