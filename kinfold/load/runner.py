"""HTTP load on a running writer, counted exactly."""

import secrets
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final
from uuid import uuid4

import httpx

from kinfold.domain.traffic import commands, sources
from kinfold.load.tally import LoadResult, Tally
from ledger.errors import ConfigurationError, EndpointError, KinfoldError
from ledger.runtime.cli_input import check_proxy
from ledger.runtime.sockets import is_loopback_url
from writer.traffic import MadeUpCommand, TrafficPlan

_PROGRESS_EVERY: Final = 0.1
#: Seconds to pause after a 503 without Retry-After, or a connection that was refused.
_PAUSE: Final = 0.5
#: Seconds for the first answer.
_PROBE_TIMEOUT: Final = 5


class UnexpectedAnswerError(KinfoldError):
    """The writer gave an answer that no load provokes: not a Kinfold writer, or another version of it."""


@dataclass(frozen=True, slots=True)
class LoadPlan:
    """What to do: append ``events`` events of a ``domain`` on ``aggregates`` aggregates from ``writers`` threads.

    The same ``seed`` makes the same commands; ``prefix`` begins the aggregates' ids and must be new to the ledger.
    ``stall_timeout``: seconds without a confirmed event after which the load gives up. ``token``: where the writer
    asks for one, with the scope write.
    """

    aggregates: int = 100
    events: int = 2000
    writers: int = 8
    seed: int = 0
    prefix: str = field(default_factory=lambda: f"load-{secrets.token_hex(4)}")
    stall_timeout: float = 60.0
    token: str | None = field(default=None, repr=False)
    domain: str = "betting"

    def __post_init__(self) -> None:
        """Raises ConfigurationError."""
        if min(self.aggregates, self.events, self.writers) < 1:
            raise ConfigurationError("a load needs at least one aggregate, one event and one writer")

    def of(self, stream: int) -> TrafficPlan:
        """What one of the clients is to send."""
        return TrafficPlan(self.aggregates, self.prefix, self.seed, stream)


def run_load(url: str, plan: LoadPlan, on_progress: Callable[[LoadResult], None] = lambda _: None) -> LoadResult:
    """Send commands to the writer at ``url`` until exactly ``plan.events`` events are confirmed.

    ``on_progress`` is called from this thread, some ten times a second and at the end. Each command has a key of its
    own (Idempotency-Key): when its answer is lost, or the writer is unavailable, it is sent again until it is answered,
    and counts once.

    Raises EndpointError when nobody answers at the start, or no event was confirmed for ``plan.stall_timeout`` seconds,
    UnexpectedAnswerError, and ConfigurationError for a proxy that is none, or without a token that the writer asks for.
    """
    traffic = sources(plan.domain)
    tally = Tally(plan.events)
    limits = httpx.Limits(max_connections=plan.writers, max_keepalive_connections=plan.writers)
    headers = {"Authorization": f"Bearer {plan.token}"} if plan.token else {}
    check_proxy(url)
    with httpx.Client(
        base_url=url, headers=headers, timeout=30, limits=limits, trust_env=not is_loopback_url(url)
    ) as client:
        _find_writer(client, url)
        threads = [
            threading.Thread(
                target=_write,
                args=(client, commands(traffic, plan.of(stream)), tally),
                name=f"load-{stream}",
                daemon=True,
            )
            for stream in range(plan.writers)
        ]
        for thread in threads:
            thread.start()
        try:
            while working := [thread for thread in threads if thread.is_alive()]:
                working[0].join(_PROGRESS_EVERY)
                on_progress(tally.result(latencies_of_last=1000))
                if tally.stalled() > plan.stall_timeout:
                    tally.stop(EndpointError(_stall(url, plan, tally.result())))
        finally:
            tally.stop()
            for thread in threads:
                thread.join()
    tally.raise_fault()
    result = tally.result()
    on_progress(result)
    return result


def _find_writer(client: httpx.Client, url: str) -> None:
    """Raises EndpointError when nobody answers: only a writer that goes away later is waited for."""
    try:
        client.get("/health", timeout=_PROBE_TIMEOUT)
    except httpx.TransportError as error:
        reason = str(error) or type(error).__name__
        raise EndpointError(
            f"no writer answers at {url} ({reason}): `kinfold up` starts one, --url names another"
        ) from None


def _write(client: httpx.Client, made_up: Iterator[MadeUpCommand], tally: Tally) -> None:
    try:
        while tally.claim():
            _carry_out(client, next(made_up), tally)
    except BaseException as error:  # noqa: BLE001 - it is raised again in the thread that asked for the load
        tally.stop(error)


def _carry_out(client: httpx.Client, command: MadeUpCommand, tally: Tally) -> None:
    """Send one command until it is answered and count its outcome, which is unknown when the load ends first."""
    key = uuid4().hex
    start = time.perf_counter()
    while (pause := _send(client, command, key, start, tally)) is not None:
        if tally.wait(pause):
            tally.count("unknown")
            return


def _send(client: httpx.Client, command: MadeUpCommand, key: str, start: float, tally: Tally) -> float | None:
    """Send a command once. Returns the seconds until it is to be sent again; None when it was answered."""
    try:
        answer = client.post(command.path, json=command.body, headers={"Idempotency-Key": key})
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout):
        tally.increment("unavailable")
        return _PAUSE
    except httpx.TransportError:
        tally.increment("lost")
        return _PAUSE
    match answer.status_code:
        case 201:
            if "Idempotency-Replayed" in answer.headers:
                tally.increment("replayed")
            tally.confirm(command.aggregate_id, _version(answer), time.perf_counter() - start)
        case 409:
            tally.count("conflicts")
        case 422:
            tally.count("refused")
        case 401 | 403 as status:
            raise ConfigurationError(
                f"POST {answer.request.url} answered {status}: the writer asks for a token with the scope write, by "
                "--token or KINFOLD_TOKEN; `kinfold token NAME --scope write` makes one"
            )
        case 503:
            tally.increment("unavailable")
            seconds = answer.headers.get("Retry-After", "")
            return float(seconds) if seconds.isdigit() else _PAUSE
        case 500 | 502 | 504:
            tally.increment("lost")
            return _PAUSE
        case status:
            raise UnexpectedAnswerError(
                f"POST {answer.request.url} answered {status}, which no command of a load provokes: is it a Kinfold "
                f"writer of this version? It said: {answer.text[:300]}"
            )
    return None


def _version(answer: httpx.Response) -> int:
    try:
        return int(answer.json()["version"])
    except (ValueError, KeyError, TypeError):
        raise UnexpectedAnswerError(
            f"POST {answer.request.url} answered 201 without a version: is it a Kinfold writer?"
        ) from None


def _stall(url: str, plan: LoadPlan, result: LoadResult) -> str:
    return (
        f"the writer at {url} confirmed no event for {plan.stall_timeout:.0f} s; {result.appended} of {plan.events} "
        f"events were appended, {result.unavailable} times it was unavailable, {result.lost} answers were lost"
    )
