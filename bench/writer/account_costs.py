"""What an account costs while it grows: calls, units and time of loads, snapshots and each command.

By the real writer over HTTP, so that whatever it keeps in memory counts. The AWS in memory counts calls and units.
"""

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

from bench.writer.load import Client, ask_once
from bench.writer.long_accounts import bet_of, long_account
from bench.writer.servers import KINFOLD, NAMES, Aws, Server, memory_aws, writer

#: Events of the accounts, parted by commas.
LENGTHS: Final = "100,10000,1000000"
_EUR: Final = {"currency": "EUR"}
#: For a first snapshot: half a million bets are archived before it, 25 a call.
_SNAPSHOT_SECONDS: Final = 900


def account_costs(sizes: Sequence[int], report: Callable[[str], None]) -> dict[str, Any]:
    """The costs of accounts of so many events, half of them bets placed, and all but one settled."""
    return {"sizes": {str(size): _costs(size, report) for size in sizes}}


def _costs(events: int, report: Callable[[str], None]) -> dict[str, Any]:
    # One fewer, so that the first command makes the last event, and a snapshot where the writer can make one.
    account_id = long_account(events - 1, "costs")
    deposit = {"amount": "1.00"}
    with memory_aws(0) as aws:
        with writer(KINFOLD, aws) as server:
            first = _cost(aws, lambda: _command(server, account_id, "deposits", deposit))
            snapshot = _snapshot_size(aws, account_id)
        commands: dict[str, Any] = {}
        found = {"first": first, "snapshot_bytes": snapshot, "load": None, "commands": commands}
        report(f"account of {events:,} events: {first['calls']} calls at first, a snapshot of {snapshot} bytes")
        if not snapshot:
            # Every load is like the first one, and so is what a command costs.
            return found
        bet = bet_of(2 * events)
        actions = {
            "deposits": deposit,
            "withdrawals": deposit,
            "bets": {"betId": bet, "stake": "1.00"},
            f"bets/{bet}/settlement": {"payout": "1.00"},
        }
        with writer(KINFOLD, aws) as server:
            found["load"] = _cost(aws, lambda: _get(server, account_id))
            for action, body in actions.items():
                do = partial(_command, server, account_id, action, body)
                commands[action.rpartition("/")[2]] = _cost(aws, do)
    return found


def _snapshot_size(aws: Aws, account_id: str) -> int:
    """Bytes of the snapshot that is on its way; 0 where none comes. Every bet is archived before it."""
    until = time.monotonic() + _SNAPSHOT_SECONDS
    while not (size := aws.size_of(NAMES.snapshots, aggregateId=account_id)) and time.monotonic() < until:
        time.sleep(0.2)
    return size


def _cost(aws: Aws, do: Callable[[], None]) -> dict[str, Any]:
    before, began = aws.counts(), time.perf_counter()
    do()
    millis = (time.perf_counter() - began) * 1000
    counts = aws.counts().since(before)
    written = dict(counts.write_units)
    snapshot = written.pop(NAMES.snapshots, 0.0)
    return {
        "calls": sum(counts.calls.values()),
        "read_units": sum(counts.read_units.values()),
        "write_units": sum(written.values()),
        "snapshot_write_units": snapshot,
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
