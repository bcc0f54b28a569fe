"""What an account costs while it grows: calls, units and time of loads, snapshots and each command.

By the real writer over HTTP, so that whatever it keeps in memory counts. The AWS in memory counts calls and units.
"""

import time
from collections.abc import Callable, Sequence
from functools import partial
from itertools import islice
from typing import Any, Final

from bench.writer.load import Client, ask_once
from bench.writer.long_accounts import bet_of, long_account
from bench.writer.servers import KINFOLD, NAMES, Aws, Server, memory_aws, writer
from simulation.aws.tables.values import item_size

#: Events of the accounts, parted by commas.
LENGTHS: Final = "100,10000,1000000"
_EUR: Final = {"currency": "EUR"}
#: For a first snapshot: half a million bets are archived before it, 25 a call.
_SNAPSHOT_SECONDS: Final = 900
#: Events that are appended then, and counted with their snapshots: a multiple of the interval between two.
MORE: Final = 100


def account_costs(sizes: Sequence[int], report: Callable[[str], None]) -> dict[str, Any]:
    """The costs of accounts of so many events, multiples of MORE: half of them bets, and all but one settled."""
    return {"sizes": {str(size): _costs(size, report) for size in sizes}}


def _costs(events: int, report: Callable[[str], None]) -> dict[str, Any]:
    # One fewer, so that the first command makes the last event, and the first snapshot.
    account_id = long_account(events - 1, "costs")
    deposit = {"amount": "1.00"}
    with memory_aws(0) as aws:
        with writer(KINFOLD, aws) as server:
            whole = _cost(aws, lambda: _get(server, account_id))
            _command(server, account_id, "deposits", deposit)
            _snapshot_of(aws, account_id, events)
        report(f"account of {events:,} events: {whole['calls']} calls without a snapshot")
        bets = map(bet_of, range(2 * events, 3 * events, 2))
        bet = next(bets)
        actions = {
            "deposits": deposit,
            "withdrawals": deposit,
            "bets": {"betId": bet, "stake": "1.00"},
            f"bets/{bet}/settlement": {"payout": "1.00"},
        }
        with writer(KINFOLD, aws) as server:
            load = _cost(aws, lambda: _get(server, account_id))
            before = aws.counts()
            commands = {
                action.rpartition("/")[2]: _cost(aws, partial(_command, server, account_id, action, body))
                for action, body in actions.items()
            }
            for bet in islice(bets, (MORE - len(actions)) // 2):
                _command(server, account_id, "bets", {"betId": bet, "stake": "1.00"})
                _command(server, account_id, f"bets/{bet}/settlement", {"payout": "1.00"})
            snapshot = _snapshot_of(aws, account_id, events + MORE)
            written = aws.counts().since(before).write_units
    return {
        "whole": whole,
        "load": load,
        "commands": commands,
        "snapshot_bytes": item_size(snapshot),
        "more_write_units": {"events": written[NAMES.events], "snapshots": written[NAMES.snapshots]},
    }


def _snapshot_of(aws: Aws, account_id: str, version: int) -> Any:
    """The account's snapshot at a version, which is on its way. Raises RuntimeError when it does not come."""
    until = time.monotonic() + _SNAPSHOT_SECONDS
    while time.monotonic() < until:
        found = aws.item(NAMES.snapshots, aggregateId=account_id)
        if found is not None and int(found["version"]["N"]) == version:
            return found
        time.sleep(0.2)
    raise RuntimeError(f"no snapshot of {account_id} at version {version} within {_SNAPSHOT_SECONDS} s")


def _cost(aws: Aws, do: Callable[[], None]) -> dict[str, Any]:
    before, began = aws.counts(), time.perf_counter()
    do()
    millis = (time.perf_counter() - began) * 1000
    counts = aws.counts().since(before)
    return {
        "calls": sum(counts.calls.values()),
        "read_units": sum(counts.read_units.values()),
        "write_units": sum(counts.write_units.values()),
        "millis": millis,
    }


def _get(server: Server, account_id: str) -> None:
    status, answer = ask_once(server.port, lambda client: client.ask("GET", f"/accounts/{account_id}"))
    if status != 200:
        raise RuntimeError(f"reading {account_id} was answered {status}: {answer[:300]!r}")


def _command(server: Server, account_id: str, action: str, body: dict[str, str]) -> None:
    def send(client: Client) -> Any:
        return client.command(account_id, action, body | _EUR)

    status = ask_once(server.port, send)
    if status != 201:
        raise RuntimeError(f"{action} on {account_id} was answered {status}")
