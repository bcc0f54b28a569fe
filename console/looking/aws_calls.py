"""Calls to AWS, counted in all and for the work under way: what takes many of them is looked at less often."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final

from prometheus_client import Counter

from ledger.runtime.aws import Clients


@dataclass(slots=True)
class Tally:
    """Calls so far."""

    calls: int = 0


_under_way: Final[ContextVar[Tally | None]] = ContextVar("under_way", default=None)


def count_calls(clients: Clients, counter: Counter) -> None:
    """Count what is sent from now on, by operation, each attempt for itself."""

    def sent(event_name: str, **_: Any) -> None:
        counter.labels(event_name.rpartition(".")[2]).inc()
        if (tally := _under_way.get()) is not None:
            tally.calls += 1

    for client in (clients.dynamodb, clients.kinesis):
        client.meta.events.register("request-created", sent)


@contextmanager
def tallied() -> Iterator[Tally]:
    """Tally the calls of the block, also those made elsewhere in a copy of its context."""
    token = _under_way.set(tally := Tally())
    try:
        yield tally
    finally:
        _under_way.reset(token)
