"""Kinfold's writer and the peer under the same load, each a process on an AWS in memory of its own."""

import itertools
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Final

from bench.writer.load import Outcome, always, health_millis, percentile, run_load
from bench.writer.long_accounts import long_account
from bench.writer.servers import KINFOLD, PEER, Aws, Counts, Server, memory_aws, writer

#: Milliseconds that an answer of AWS takes: what DynamoDB takes in its own region, and about.
AWS_MILLIS: Final = 2.0
CLIENTS: Final = 4
HOT_CLIENTS: Final = 32
#: Events of an account when the load begins, and accounts that a client goes round on while they are warm.
HISTORY: Final = 20
HOT_HISTORY: Final = 100
WARM: Final = 8
_HEALTH: Final = 300
_CONTENDERS: Final = (KINFOLD, PEER)


@dataclass(frozen=True, slots=True)
class Case:
    """What a load is. ``accounts``: which account each client draws, of a run's own name."""

    text: str
    accounts: Callable[[str], list[Iterator[str]]]
    #: Accounts that are asked for once before the measurement begins.
    warmed: Callable[[str], list[str]] = lambda _: []
    keys: bool = False


def _cold(name: str) -> list[Iterator[str]]:
    numbers = itertools.count()
    return [(long_account(HISTORY, f"{name}-{next(numbers)}") for _ in itertools.count()) for _ in range(CLIENTS)]


def _own(name: str, client: int) -> list[str]:
    return [long_account(HISTORY, f"{name}-{client}-{number}") for number in range(WARM)]


def _warm(name: str) -> list[Iterator[str]]:
    return [itertools.cycle(_own(name, client)) for client in range(CLIENTS)]


def _warmed(name: str) -> list[str]:
    return [account for client in range(CLIENTS) for account in _own(name, client)]


def _hot(name: str) -> list[Iterator[str]]:
    return [always(long_account(HOT_HISTORY, name))] * HOT_CLIENTS


_PLAIN: Final = {
    "cold": Case(f"each command on another account of {HISTORY} events, {CLIENTS} clients", _cold),
    "warm": Case(f"{CLIENTS * WARM} accounts by turns, {CLIENTS} clients", _warm, _warmed),
    "hot": Case(f"one account, {HOT_CLIENTS} clients", _hot, lambda name: [long_account(HOT_HISTORY, name)]),
}
CASES: Final[Mapping[str, Case]] = {
    f"{name}{', keys' if keys else ''}": Case(case.text, case.accounts, case.warmed, keys)
    for name, case in _PLAIN.items()
    for keys in (False, True)
}


def contest(runs: int, seconds: float, report: Callable[[str], None]) -> Iterator[dict[str, Any]]:
    """Alternating runs of both; gives the figures so far after each."""
    found: dict[str, Any] = {
        "aws_millis": AWS_MILLIS,
        "seconds": seconds,
        "cases": {
            name: {"text": case.text, "runs": {each: [] for each in _CONTENDERS}} for name, case in CASES.items()
        },
        "health": {each: [] for each in _CONTENDERS},
    }
    for number, name in itertools.product(range(runs), _CONTENDERS):
        with ExitStack() as cleanup:
            aws = cleanup.enter_context(memory_aws(AWS_MILLIS))
            server = cleanup.enter_context(writer(name, aws))
            millis = health_millis(server.port, _HEALTH)
            found["health"][name].append({"p50_millis": percentile(millis, 50), "p99_millis": percentile(millis, 99)})
            for case_name, case in CASES.items():
                run = measure(server, aws, case, f"{number}-{case_name.partition(',')[0]}-{case.keys}", seconds)
                found["cases"][case_name]["runs"][name].append(run)
                report(
                    f"{name}, {case_name}: {run['per_second']:.0f} commands a second, p50 {run['p50_millis']:.1f} ms"
                )
        yield found


def measure(server: Server, aws: Aws, case: Case, name: str, seconds: float) -> dict[str, Any]:
    """One case on a running server: the load's figures, and CPU, calls and units a command."""
    if warmed := case.warmed(name):
        once = run_load(server.port, [iter(warmed)], 1e9, keys=False)
        if once.accepted != len(warmed):
            raise RuntimeError(f"{name} could not be warmed: {once.statuses}")
    before, cpu = aws.counts(), server.cpu_seconds()
    outcome = run_load(server.port, case.accounts(name), seconds, keys=case.keys)
    if not outcome.accepted:
        raise RuntimeError(f"no command of {name} was accepted: {outcome.statuses}")
    counts = aws.counts().since(before)
    return outcome.figures() | a_command(outcome, counts, server.cpu_seconds() - cpu)


def a_command(outcome: Outcome, counts: Counts, cpu_seconds: float) -> dict[str, Any]:
    """What each command that was carried out has cost, whatever was turned away and written later included."""
    done = outcome.accepted
    return {
        "cpu_millis": cpu_seconds / done * 1000,
        "calls": sum(counts.calls.values()) / done,
        "read_units": sum(counts.read_units.values()) / done,
        "write_units": sum(counts.write_units.values()) / done,
    }
